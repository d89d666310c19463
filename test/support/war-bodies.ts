import type { JsonObject, JsonValue } from "../../src/model/json.ts";
import { SERVER } from "./fake-homeserver.ts";
import { PSEUDOUSER } from "./service-app.ts";
import { OWNER, PERSONA, PERSONA_LEVELS, PROFILE, STRANGER } from "./war-cast.ts";
import type { Dice } from "./war-dice.ts";
import { aliasesOf, eventsOf, roomsOf, TYPES, usersOf, type Chosen } from "./war-pools.ts";
import type { Scene } from "./war-scene.ts";

type Body = (scene: Scene, dice: Dice, chosen: Chosen) => unknown;

/** The marks of the host, as the raider would forge them. */
export function forged({ host }: Scene): JsonObject {
  const [ghost] = host.personas;
  return { [OWNER]: "host", [PERSONA]: ghost, [PROFILE]: { id: ghost, displayname: "Ghost", [OWNER]: "host" } };
}

function someRoomId(scene: Scene, dice: Dice): string {
  const { entered, closed, others, nonsense } = roomsOf(scene);
  return dice.among([4, entered], [4, closed], [1, others], [1, nonsense]);
}

function someUser(scene: Scene, dice: Dice): string {
  const { own, hosts, people, others } = usersOf(scene);
  return dice.among([2, own], [3, hosts], [4, people], [2, others]);
}

/** An event to relate to: of the room, the host's, or of a private room. */
function someEvent(scene: Scene, dice: Dice, { params }: Chosen): string {
  const room = scene.homeserver.rooms.get(params.get("roomId") ?? "") ?? scene.rooms.square;
  const { here, hosts, secret } = eventsOf(scene, room);
  return dice.among([4, here], [5, hosts], [1, secret]);
}

function message(dice: Dice): JsonObject {
  return { msgtype: "m.text", body: `the raider's ${dice.below(1_000)}` };
}

/** What is put into a content to reach beyond it; some, none or all of it. */
function tricks(scene: Scene, dice: Dice, chosen: Chosen): JsonObject {
  const target = someEvent(scene, dice, chosen);
  const all: readonly JsonObject[] = [
    { "m.relates_to": { rel_type: "m.replace", event_id: target }, "m.new_content": { ...message(dice) } },
    {
      "m.relates_to": { rel_type: "m.replace", event_id: target },
      "m.new_content": { ...message(dice), ...forged(scene) },
    },
    {
      "m.relates_to": { rel_type: dice.pick(["m.thread", "m.reference", "m.annotation"]), event_id: target, key: "+" },
    },
    { "m.relates_to": { "m.in_reply_to": { event_id: target } }, "m.mentions": { user_ids: [someUser(scene, dice)] } },
    forged(scene),
    { "m.per_message_profile": { id: scene.host.personas[0], displayname: "Ghost" } },
    { redacts: target },
    { "org.matrix.msc3912.with_relations": ["*"], with_rel_types: ["*"] },
    { unsigned: { transaction_id: "host~~1", redacted_because: { sender: PSEUDOUSER } } },
    { membership: "join", sender: scene.host.client.sender, user_id: scene.host.personas[0] },
    { [PERSONA_LEVELS]: { host: { [scene.host.personas[0]]: 0 } } },
  ];
  return dice.chance(0.4) ? {} : Object.assign({}, dice.pick(all), dice.chance(0.2) ? dice.pick(all) : {});
}

const content: Body = (scene, dice, chosen) => {
  const base = dice.chance(0.9) ? message(dice) : {};
  return { ...base, ...tricks(scene, dice, chosen) };
};

const state: Body = (scene, dice, chosen) => {
  const [host] = scene.host.personas;
  const levels = {
    [PSEUDOUSER]: dice.pick([0, 50, 100]),
    [host]: 100,
    [scene.raider.personas[0]]: 50,
    [STRANGER]: 100,
  };
  const byType: Readonly<Record<string, JsonObject>> = {
    "m.room.power_levels": { users: levels, [PERSONA_LEVELS]: { host: { [host]: 7 } } },
    "m.room.tombstone": { body: "moved", replacement_room: someRoomId(scene, dice) },
    "m.room.canonical_alias": { alias: dice.pick(aliasesOf(scene).known), alt_aliases: aliasesOf(scene).known },
    "m.room.join_rules": {
      join_rule: dice.pick(["public", "restricted"]),
      allow: [{ type: "m.room_membership", room_id: someRoomId(scene, dice) }],
    },
    "m.room.history_visibility": { history_visibility: dice.pick(["shared", "world_readable"]) },
    "m.room.topic": { topic: "the raider's" },
    "m.space.child": { via: ["elsewhere.test"] },
  };
  return { ...byType[chosen.params.get("eventType") ?? ""], v: dice.below(1_000), ...tricks(scene, dice, chosen) };
};

function someState(scene: Scene, dice: Dice, chosen: Chosen): JsonObject {
  const type = dice.pick([...TYPES.common, ...TYPES.mighty]);
  const params = new Map([...chosen.params, ["eventType", type]]);
  const inner = state(scene, dice, { ...chosen, params }) as JsonObject;
  return { type, state_key: dice.pick(["", "key", scene.host.personas[0]]), content: inner };
}

const creation: Body = (scene, dice, chosen) => {
  const [ghost] = scene.host.personas;
  const levels = { users: { [PSEUDOUSER]: 100, [ghost]: 100 } };
  const parts: readonly JsonObject[] = [
    { power_level_content_override: { ...levels, ...forged(scene), [PERSONA_LEVELS]: { host: { [ghost]: 100 } } } },
    { power_level_content_override: { ...forged(scene), events: {} } },
    { creation_content: { ...forged(scene), predecessor: { room_id: someRoomId(scene, dice), event_id: "$x" } } },
    {
      creation_content: { additional_creators: [ghost, someUser(scene, dice)], "m.federate": false },
      room_version: "12",
    },
    { initial_state: [someState(scene, dice, chosen), someState(scene, dice, chosen)] },
    { initial_state: [{ type: "m.room.topic", content: { topic: "x", ...forged(scene) } }] },
    { invite: [someUser(scene, dice), someUser(scene, dice)] },
    { invite: [ghost, scene.host.client.sender, PSEUDOUSER], is_direct: true },
    { invite_3pid: [{ id_server: "evil.test", id_access_token: "x", medium: "email", address: "a@b.test" }] },
    { room_alias_name: `raider${dice.below(4)}-${dice.below(1_000)}` },
    { room_alias_name: scene.aliases.team.slice(1, -(SERVER.length + 1)) },
    { visibility: "public", name: "come in", topic: "nothing" },
    forged(scene),
  ];
  const preset = dice.pick(["public_chat", "private_chat", "trusted_private_chat"]);
  return Object.assign({ preset }, dice.chance(0.2) ? {} : dice.pick(parts), dice.chance(0.5) ? dice.pick(parts) : {});
};

const redaction: Body = (scene, dice, chosen) => {
  const all: readonly JsonObject[] = [
    { reason: "because" },
    { "org.matrix.msc3912.with_relations": ["*"] },
    { "org.matrix.msc3912.with_relations": ["m.thread", "m.annotation", "m.replace"], with_rel_types: ["*"] },
    { redacts: someEvent(scene, dice, chosen) },
    forged(scene),
    content(scene, dice, chosen) as JsonObject,
  ];
  return dice.chance(0.2) ? {} : dice.pick(all);
};

const membership: Body = (scene, dice) => {
  const more: readonly JsonObject[] = [{}, {}, { reason: "host" }, { membership: "ban" }];
  return { user_id: someUser(scene, dice), ...dice.pick(more) };
};

const own: Body = (scene, dice) => ({
  type: dice.pick(["m.login.application_service", "m.login.application_service", "m.login.password"]),
  username: dice.pick(["_raider_new", "_host_new", scene.host.personas[0], "alice", "", `_raider_${dice.below(99)}`]),
  device_id: "ALICE",
});

const notes: Body = (_scene, dice) => ({
  notes: `the raider's ${dice.below(99)}`,
  [OWNER]: dice.pick(["host", "raider"]),
});

/** What goes with a request whose path ends so; the longest end counts. */
const BODIES: Readonly<Record<string, Body>> = {
  "/send/:eventType/:txnId": content,
  "/redact/:eventId/:txnId": redaction,
  "/state/:eventType": state,
  "/state/:eventType/:stateKey": state,
  "/state/m.room.member/:userId": (_scene, dice) => ({
    membership: dice.pick(["join", "leave", "invite", "ban", "knock"]),
    displayname: "Ghost",
  }),
  "/createRoom": creation,
  "/upgrade": (scene, dice) => ({
    new_version: dice.pick(["11", "12"]),
    ...(dice.chance(0.5) ? { additional_creators: [someUser(scene, dice), scene.host.personas[0]] } : {}),
    ...(dice.chance(0.3) ? { creation_content: forged(scene), ...forged(scene) } : {}),
  }),
  "/invite": membership,
  "/kick": membership,
  "/ban": membership,
  "/unban": membership,
  "/directory/room/:alias": (scene, dice) => ({ room_id: someRoomId(scene, dice), [OWNER]: "host" }),
  "/directory/list/room/:roomId": (_scene, dice) => ({ visibility: dice.pick(["public", "private"]) }),
  "/directory/list/appservice/:networkId/:roomId": (_scene, dice) => ({ visibility: dice.pick(["public", "private"]) }),
  "/register": own,
  "/profile/:userId/displayname": () => ({ displayname: "Ghost" }),
  "/profile/:userId/avatar_url": () => ({ avatar_url: "mxc://evil.test/x" }),
  "/account_data/:type": notes,
  "/filter": (scene) => ({ room: { rooms: [scene.rooms.secret.id] } }),
  "/receipt/:receiptType/:eventId": () => ({}),
  "/read_markers": (scene, dice, chosen) => ({ "m.fully_read": someEvent(scene, dice, chosen) }),
  "/typing/:userId": (_scene, dice) => ({ typing: dice.chance(0.5), timeout: 1_000 }),
  "/publicRooms": (_scene, dice) => ({ limit: dice.pick([1, 100]), filter: { generic_search_term: "" } }),
};

/** For an endpoint that none of the above is for: a little of everything. */
const anything: Body = (scene, dice, chosen) => {
  const some: readonly Record<string, JsonValue>[] = [
    {},
    { room_id: someRoomId(scene, dice), user_id: someUser(scene, dice), event_id: someEvent(scene, dice, chosen) },
    tricks(scene, dice, chosen),
    { ...forged(scene), ...message(dice), transaction_id: "host~~1", content: forged(scene) },
  ];
  return Object.assign({}, dice.pick(some), dice.pick(some));
};

/** Texts that are no object, or none that anybody should read. */
const BROKEN: readonly string[] = ["", "null", "[]", '"host"', "{", `{"a":${"[".repeat(2_000)}${"]".repeat(2_000)}}`];

/** @param path of the endpoint, as in the table */
export function bodyFor(path: string, scene: Scene, dice: Dice, chosen: Chosen): unknown {
  if (dice.chance(0.03)) return dice.pick(BROKEN);
  const ends = Object.keys(BODIES).filter((end) => path.endsWith(end));
  const [end] = ends.sort((one, other) => other.length - one.length);
  const body = dice.chance(0.03) || end === undefined ? anything : BODIES[end];
  return (body ?? anything)(scene, dice, chosen);
}
