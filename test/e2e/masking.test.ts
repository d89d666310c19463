/** Whoever asks our homeserver through the gateway does not find the pseudouser among the people, whatever is asked for. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { ensureSynapse } from "../../homeservers/synapse/environment.ts";
import { PEEK_SETTINGS, peekableRoom } from "../support/peek-scenario.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

/** Answers that may name it: they are somebody's word, or say what was asked for by its ID. */
const MAY_NAME: readonly (readonly [path: RegExp, why: string])[] = [
  [/\/rooms\/[^/]+\/state\/m\.room\.member\//, "asked for by its state key"],
];
/** What has to name it where nobody masks: the crawl would find it there. */
const NAMES_IT_UNMASKED = [
  ...["initialSync", "members", "joined_members", "state", "messages"].map(
    (what) => `/_matrix/client/v3/rooms/{room_id}/${what}`,
  ),
  ...["sync", "initialSync", "keys/changes", "events"].map((what) => `/_matrix/client/v3/${what}`),
  ...["members", "state", "initialSync"].map((what) => `/_matrix/client/api/v1/rooms/{room_id}/${what}`),
  "/_matrix/client/unstable/rooms/{room_id}/members",
  ...["POST /_matrix/client/v3/search", "POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync"],
];

let stage: Stage;
let us: MatrixUser;
let member: MatrixUser;
let peeker: MatrixUser;
let roomId: string;
let since: string;
let sent: string;
let before: number;

beforeAll(async () => {
  stage = await openStage({ settings: { ...PEEK_SETTINGS, peek: { idle: "5m" } } });
  us = new MatrixUser({ homeserverUrl: stage.ours.url, userId: stage.pseudouser, accessToken: stage.emissary.asToken });
  const bob = await stage.user(stage.theirs, "bob");
  member = through(await stage.user(stage.ours, "member"));
  peeker = through(await stage.user(stage.ours, "peeker"));
  ({ roomId } = await peekableRoom(bob, stage, "12"));
  await member.join(roomId, [stage.theirs.serverName]);
  await bob.sendState(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });
  await until(
    "the encryption here",
    () => member.state(roomId),
    (state) => state.some(({ type }) => type === "m.room.encryption"),
  );
  since = String((await member.request("GET", "/_matrix/client/v3/sync", { timeout: 0 })).body["next_batch"]);
  before = Date.now();
  await (await stage.tenant("witness")).join(roomId, [stage.theirs.serverName]);
  await until(
    "the pseudouser there",
    () => bob.joinedMembers(roomId),
    (members) => members.includes(stage.pseudouser),
  );
  sent = await bob.sendText(roomId, "hello hello");
  // It is about, types and has read, and says something that a client is to see.
  const asUs = { user_id: stage.pseudouser };
  const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
  await until(
    "what was said",
    () => member.messages(roomId),
    ({ chunk }) => chunk.some((event) => event.event_id === sent),
  );
  const done = [
    await us.request("PUT", `/_matrix/client/v3/presence/${encodeURIComponent(stage.pseudouser)}/status`, asUs, {
      presence: "online",
    }),
    await us.request("PUT", `${room}/typing/${encodeURIComponent(stage.pseudouser)}`, asUs, {
      typing: true,
      timeout: 120_000,
    }),
    await us.request("POST", `${room}/receipt/m.read/${encodeURIComponent(sent)}`, asUs, {}),
    await us.request("PUT", `${room}/send/m.room.message/1`, asUs, {
      msgtype: "m.text",
      body: "hello from the server",
    }),
  ];
  expect(done.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});
afterAll(() => stage.close());

function through({ userId, accessToken }: MatrixUser): MatrixUser {
  return new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
}

function pathOf(pattern: string, user: MatrixUser): string {
  const values: Readonly<Record<string, string>> = {
    room_id: roomId,
    room_identifier: roomId,
    user_id: user.userId,
    event_id: sent,
    parent_id: sent,
    thread_root_id: sent,
    relation_type: "m.thread",
    event_type: "m.room.message",
    path: "pushrules/",
  };
  return pattern.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(values[name] ?? name));
}

/** All that answers a client's GET, as Synapse itself says, and what is read with POST. */
async function requests(
  user: MatrixUser,
): Promise<readonly (readonly [name: string, method: string, path: string, body?: Json])[]> {
  const python = process.env["EMISSARY_SYNAPSE_PYTHON"] ?? (await ensureSynapse()).python;
  const script = fileURLToPath(new URL("../../homeservers/synapse/endpoints.py", import.meta.url));
  const patterns = JSON.parse(execFileSync(python, [script], { encoding: "utf8" })) as string[];
  const states = ["v3", "r0", "api/v1", "unstable"].map(
    (name) => `/_matrix/client/${name}/rooms/{room_id}/state/m.room.name/`,
  );
  const gets = [...patterns, ...states].map(
    (pattern) => [pattern, "GET", `${pathOf(pattern, user)}?${queryFor(pattern)}`] as const,
  );
  const search = {
    search_categories: {
      room_events: {
        search_term: "hello",
        keys: ["content.body"],
        include_state: true,
        event_context: { include_profile: true },
      },
    },
  };
  const sliding = {
    lists: { all: { ranges: [[0, 9]], timeline_limit: 20, required_state: [["*", "*"]] } },
    room_subscriptions: { [roomId]: { timeline_limit: 20, required_state: [["*", "*"]] } },
    extensions: { receipts: { enabled: true }, typing: { enabled: true }, e2ee: { enabled: true } },
  };
  const posts: readonly (readonly [path: string, body: Json])[] = [
    ["/_matrix/client/v3/search", search],
    ["/_matrix/client/unstable/search", search],
    ["/_matrix/client/v3/user_directory/search", { search_term: stage.ours.serverName }],
    ["/_matrix/client/v3/publicRooms", {}],
    ["/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", sliding],
  ];
  return [...gets, ...posts.map(([path, body]) => [`POST ${path}`, "POST", path, body] as const)];
}

function queryFor(pattern: string): string {
  const all = new URLSearchParams({ timeout: "0", limit: "100", dir: "b" });
  if (pattern.endsWith("/timestamp_to_event")) {
    all.set("ts", String(before));
    all.set("dir", "f");
  }
  if (pattern.endsWith("/keys/changes")) {
    all.set("from", since);
    all.set("to", since);
  }
  // A first sync is answered from Synapse's memory for a time.
  if (pattern.endsWith("/sync")) all.set("since", since);
  if (pattern.endsWith("/events")) all.set("from", since);
  if (pattern.endsWith("/events")) all.set("room_id", roomId);
  return all.toString();
}

/** What names it, without what it says itself: each line is the place. */
function namings(value: unknown, at = ""): string[] {
  if (typeof value === "string") return value === stage.pseudouser ? [at] : [];
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((inner) => namings(inner, `${at}[]`));
  const fields = value as Readonly<Record<string, unknown>>;
  const isItsWord = fields["sender"] === stage.pseudouser && "event_id" in fields && fields["type"] !== "m.room.member";
  if (isItsWord) return [];
  return Object.entries(fields).flatMap(([key, inner]) => [
    ...(key === stage.pseudouser ? [`${at}.{user}`] : []),
    ...namings(inner, `${at}.${key}`),
  ]);
}

interface Crawled {
  /** Names of the requests that were answered. */
  readonly answered: readonly string[];
  /** Each with where the pseudouser is named. */
  readonly named: readonly (readonly [name: string, places: readonly string[]])[];
}

async function crawl(user: MatrixUser, homeserverUrl: string): Promise<Crawled> {
  const answered: string[] = [];
  const named: (readonly [string, readonly string[]])[] = [];
  for (const [name, method, path, body] of await requests(user)) {
    const response = await fetch(`${homeserverUrl}${path}`, {
      method,
      redirect: "manual",
      headers: { authorization: `Bearer ${user.accessToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status === 200) answered.push(name);
    if (!text.includes(JSON.stringify(stage.pseudouser)) || MAY_NAME.some(([known]) => known.test(path))) continue;
    const places = [...new Set(namings(JSON.parse(text)))];
    if (places.length > 0) named.push([name, places]);
  }
  return { answered, named };
}

it("a member finds it in no answer of any endpoint, and finds it in those that nobody masks", async () => {
  const masked = await crawl(member, stage.emissary.gatewayUrl);
  expect(masked.named).toEqual([]);
  const bare = await crawl(member, stage.ours.url);
  expect(bare.named.map(([name]) => name)).toEqual(expect.arrayContaining(NAMES_IT_UNMASKED));
  // What is answered without the gateway is answered through it.
  expect(bare.answered.filter((name) => !masked.answered.includes(name))).toEqual([]);
});

it("a user who looks in finds it in no answer of any endpoint", async () => {
  const { named, answered } = await crawl(peeker, stage.emissary.gatewayUrl);
  expect(named).toEqual([]);
  expect(answered).toEqual(
    expect.arrayContaining([
      "/_matrix/client/v3/rooms/{room_id}/initialSync",
      "/_matrix/client/v3/rooms/{room_id}/members",
    ]),
  );
});

it("a time at which it came leads to the event after", async () => {
  const path = `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/timestamp_to_event`;
  const at = async (url: string): Promise<string> => {
    const asked = new MatrixUser({ homeserverUrl: url, userId: member.userId, accessToken: member.accessToken });
    const { body } = await asked.request("GET", path, { ts: before, dir: "f" });
    return (await asked.event(roomId, String(body["event_id"]))).state_key ?? "a message";
  };
  expect([await at(stage.ours.url), await at(stage.emissary.gatewayUrl)]).toEqual([stage.pseudouser, "a message"]);
});
