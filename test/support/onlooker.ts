/**
 * Every request by which a client might let its user's name out of the server, as somebody asks it who looks into a room and is not in it. The
 * table of docs/security.md has a row for each kind, by its title (test/unit/security-page.test.ts).
 */

/** Where the user looks, and whom it finds there. */
export interface Scene {
  readonly room: string;
  /** One that may be knocked at. */
  readonly knockable: string;
  readonly event: string;
  readonly alias: string;
  readonly me: string;
  readonly other: string;
  /** The other server. */
  readonly server: string;
  readonly media: string;
}

type Request = readonly [method: string, path: string, body?: Readonly<Record<string, unknown>>];

export interface Kind {
  readonly title: string;
  /** `quiet`: nothing that leaves the server has the user's name. `refused`: likewise, and the homeserver says no. */
  readonly outcome: "quiet" | "refused" | "named";
  readonly requests: (scene: Scene) => readonly Request[];
}

const V3 = "/_matrix/client/v3";
const V1 = "/_matrix/client/v1";
const UNSTABLE = "/_matrix/client/unstable";
const e = encodeURIComponent;
const inRoom = ({ room }: Scene): string => `${V3}/rooms/${e(room)}`;

export const KINDS: readonly Kind[] = [
  {
    title: "Reading a room",
    outcome: "quiet",
    requests: (scene) => [
      ["GET", `${inRoom(scene)}/initialSync?limit=5&via=${scene.server}`],
      ["GET", `${inRoom(scene)}/messages?dir=b&limit=50`],
      ["GET", `${inRoom(scene)}/state`],
      ["GET", `${inRoom(scene)}/state/m.room.name/`],
      ["GET", `${inRoom(scene)}/members`],
      ["GET", `${inRoom(scene)}/joined_members`],
      ["GET", `${inRoom(scene)}/context/${e(scene.event)}`],
      ["GET", `${inRoom(scene)}/event/${e(scene.event)}`],
      ["GET", `${inRoom(scene)}/aliases`],
      ["GET", `${V1}/rooms/${e(scene.room)}/relations/${e(scene.event)}`],
      ["GET", `${V1}/rooms/${e(scene.room)}/threads`],
      ["GET", `${V1}/rooms/${e(scene.room)}/timestamp_to_event?ts=1&dir=f`],
      ["GET", `${V1}/rooms/${e(scene.room)}/hierarchy`],
      ["GET", `${V3}/events?room_id=${e(scene.room)}&timeout=0`],
      ["GET", `${V3}/sync?timeout=0`],
      ["GET", `${V3}/notifications`],
    ],
  },
  {
    title: "Finding a room: directory, aliases, summaries",
    outcome: "quiet",
    requests: ({ alias, room, server }) => [
      ["GET", `${V3}/directory/room/${e(alias)}`],
      ["GET", `${V3}/publicRooms?server=${server}`],
      ["POST", `${V3}/publicRooms?server=${server}`, { filter: { generic_search_term: "square" } }],
      ["GET", `${V1}/room_summary/${e(room)}?via=${server}`],
    ],
  },
  {
    title: "Receipts and read markers",
    outcome: "quiet",
    requests: (scene) => [
      ["POST", `${inRoom(scene)}/receipt/m.read/${e(scene.event)}`, {}],
      ["POST", `${inRoom(scene)}/receipt/m.read.private/${e(scene.event)}`, {}],
      ["POST", `${inRoom(scene)}/receipt/m.fully_read/${e(scene.event)}`, {}],
      ["POST", `${inRoom(scene)}/read_markers`, { "m.fully_read": scene.event, "m.read": scene.event }],
      ["POST", `/_matrix/client/r0/rooms/${e(scene.room)}/receipt/m.read/${e(scene.event)}`, { thread_id: "main" }],
      ["POST", `${UNSTABLE}/rooms/${e(scene.room)}/receipt/m.read/${e(scene.event)}`, {}],
      ["POST", `${UNSTABLE}/rooms/${e(scene.room)}/read_markers`, { "m.read": scene.event }],
    ],
  },
  {
    title: "Typing",
    outcome: "refused",
    requests: (scene) => [["PUT", `${inRoom(scene)}/typing/${e(scene.me)}`, { typing: true, timeout: 30_000 }]],
  },
  {
    title: "Presence",
    outcome: "quiet",
    requests: ({ me }) => [
      ["PUT", `${V3}/presence/${e(me)}/status`, { presence: "online", status_msg: "reading on" }],
      ["GET", `${V3}/sync?timeout=0&set_presence=online`],
    ],
  },
  {
    title: "Sending, redacting, changing the room",
    outcome: "refused",
    requests: (scene) => [
      ["PUT", `${inRoom(scene)}/send/m.room.message/t1`, { msgtype: "m.text", body: "hello" }],
      ["PUT", `${inRoom(scene)}/send/m.reaction/t2`, { "m.relates_to": { rel_type: "m.annotation", key: "+" } }],
      ["PUT", `${inRoom(scene)}/state/m.room.topic/`, { topic: "mine" }],
      ["PUT", `${inRoom(scene)}/redact/${e(scene.event)}/t3`, {}],
      ["POST", `${inRoom(scene)}/upgrade`, { new_version: "11" }],
      ["POST", `${inRoom(scene)}/invite`, { user_id: scene.other }],
      ["POST", `${inRoom(scene)}/kick`, { user_id: scene.other }],
      ["POST", `${inRoom(scene)}/ban`, { user_id: scene.other }],
      ["POST", `${inRoom(scene)}/unban`, { user_id: scene.other }],
    ],
  },
  {
    title: "Leaving and forgetting",
    outcome: "refused",
    requests: (scene) => [
      ["POST", `${inRoom(scene)}/leave`, {}],
      ["PUT", `${inRoom(scene)}/state/m.room.member/${e(scene.me)}`, { membership: "leave" }],
      ["POST", `${V3}/rooms/${e("!nowhere:" + scene.server)}/leave`, {}],
    ],
  },
  {
    title: "Reports",
    outcome: "quiet",
    requests: (scene) => [
      ["POST", `${inRoom(scene)}/report/${e(scene.event)}`, { reason: "spam", score: -100 }],
      ["POST", `${inRoom(scene)}/report`, { reason: "spam" }],
      ["POST", `${V3}/users/${e(scene.other)}/report`, { reason: "spam" }],
    ],
  },
  {
    title: "Profiles and users",
    outcome: "quiet",
    requests: ({ other, me }) => [
      ["GET", `${V3}/profile/${e(other)}`],
      ["GET", `${V3}/profile/${e(other)}/displayname`],
      ["PUT", `${V3}/profile/${e(me)}/displayname`, { displayname: "Curious Onlooker" }],
      ["POST", `${V3}/user_directory/search`, { search_term: "bob" }],
      ["GET", `${V1}/mutual_rooms?user_id=${e(other)}`],
    ],
  },
  {
    title: "Keys and device lists",
    outcome: "quiet",
    requests: ({ other, me }) => [
      ["POST", `${V3}/keys/query`, { device_keys: { [other]: [], [me]: [] } }],
      ["POST", `${V3}/keys/claim`, { one_time_keys: { [other]: { NODEVICE: "signed_curve25519" } } }],
      ["GET", `${V3}/keys/changes?from=s0_0&to=s0_0`],
      ["POST", `${V3}/keys/signatures/upload`, { [other]: { NODEVICE: {} } }],
      ["GET", `${V3}/devices`],
      ["GET", `${V3}/room_keys/version`],
    ],
  },
  {
    title: "Media",
    outcome: "quiet",
    requests: ({ server, media }) => [
      ["GET", `${V1}/media/download/${server}/${media}`],
      ["GET", `${V1}/media/thumbnail/${server}/${media}?width=32&height=32&method=scale`],
      ["GET", `${V1}/media/config`],
    ],
  },
  {
    title: "Search, tags, account data, push rules, filters",
    outcome: "quiet",
    requests: ({ room, me }) => [
      [
        "POST",
        `${V3}/search`,
        { search_categories: { room_events: { search_term: "one", filter: { rooms: [room] } } } },
      ],
      ["PUT", `${V3}/user/${e(me)}/rooms/${e(room)}/tags/m.favourite`, { order: 0.1 }],
      ["PUT", `${V3}/user/${e(me)}/rooms/${e(room)}/account_data/org.example.note`, { note: "read" }],
      ["PUT", `${V3}/user/${e(me)}/account_data/im.vector.setting.breadcrumbs`, { recent_rooms: [room] }],
      ["PUT", `${V3}/pushrules/global/room/${e(room)}`, { actions: ["notify"] }],
      ["POST", `${V3}/user/${e(me)}/filter`, { room: { rooms: [room] } }],
      ["GET", `${V3}/capabilities`],
    ],
  },
  {
    title: "Third-party networks, OpenID, TURN",
    outcome: "quiet",
    requests: ({ me }) => [
      ["GET", `${V3}/thirdparty/protocols`],
      ["GET", `${V3}/thirdparty/user?userid=${e(me)}`],
      ["POST", `${V3}/user/${e(me)}/openid/request_token`, {}],
      ["GET", `${V3}/voip/turnServer`],
    ],
  },
  {
    title: "Knocking",
    outcome: "named",
    requests: ({ knockable, server }) => [
      ["POST", `${V3}/knock/${e(knockable)}?via=${server}&server_name=${server}`, {}],
    ],
  },
  {
    title: "Messages to devices",
    outcome: "named",
    requests: ({ other }) => [
      ["PUT", `${V3}/sendToDevice/org.example.hello/t1`, { messages: { [other]: { "*": { hello: 1 } } } }],
    ],
  },
  {
    title: "Inviting to a room of one's own",
    outcome: "named",
    requests: ({ other }) => [["POST", `${V3}/createRoom`, { preset: "private_chat", invite: [other] }]],
  },
  {
    title: "Joining",
    outcome: "named",
    requests: ({ room }) => [["POST", `${V3}/join/${e(room)}`, {}]],
  },
];
