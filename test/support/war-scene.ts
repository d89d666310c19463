import { stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { TENANT_ACTIONS } from "../../src/model/tenant.ts";
import { SERVER } from "./fake-homeserver.ts";
import type { FakeRoom, RoomOptions } from "./fake-homeserver-rooms.ts";
import { PSEUDOUSER } from "./service-app.ts";
import {
  allPower,
  at,
  canary,
  done,
  FRIEND,
  grant,
  LITTLE_POWER,
  nextNumber,
  STRANGER,
  type Cast,
} from "./war-cast.ts";
import type { Dice } from "./war-dice.ts";
import { Truth } from "./war-truth.ts";

export interface Rooms {
  /** Private, of the host's friends; the host was granted it, and the pseudouser has power there. */
  readonly secret: FakeRoom;
  /** Private, of the host's own making, of room version 12. */
  readonly den: FakeRoom;
  /** Private, of the operator's: no tenant is in. */
  readonly office: FakeRoom;
  /** Public, of the host's own making. */
  readonly shop: FakeRoom;
  /** Public, with both tenants in it, who have little power. */
  readonly square: FakeRoom;
  /** Public, of a stranger's who gave the pseudouser all power, for the raider. */
  readonly lair: FakeRoom;
  /** Public, granted to the raider by its aliases. */
  readonly hub: FakeRoom;
  /** Public, of the raider's own making. */
  readonly own: FakeRoom;
}

export interface Names {
  /** Of the hub; the second is another server's. Others than the operator have a say in where they point. */
  readonly hub: readonly [string, string];
  /** Of the den, known to the raider. */
  readonly team: string;
  /** Of the shop. */
  readonly shop: string;
}

/** Rooms, names and things of both tenants before a war. */
export interface Scene extends Cast {
  readonly rooms: Rooms;
  readonly aliases: Names;
  readonly truth: Truth;
  /** A media address that the host reserved, known to the raider. */
  readonly reservation: string;
  readonly dice: Dice;
  /** What the operator granted the host. */
  readonly hostsGrants: JsonValue | undefined;
  /** How many events each of the rooms had when the war began. */
  readonly begun: ReadonlyMap<string, number>;
  /** What was done, for whoever reads of a failure. */
  readonly trace: string[];
}

const ACTIONS = TENANT_ACTIONS;

/** Sets the scene, with rooms and names of its own. */
export async function setScene(cast: Cast, dice: Dice): Promise<Scene> {
  const { homeserver, host, raider } = cast;
  const nr = nextNumber();
  const aliases: Names = {
    hub: [`#hub${nr}:${SERVER}`, `#comm${nr}:evil.test`],
    team: `#host-team${nr}:${SERVER}`,
    shop: `#host-shop${nr}:${SERVER}`,
  };
  const make = (id: string, maker: string, levels: JsonObject | null, more: RoomOptions = {}): FakeRoom => {
    const room = homeserver.makeRoom({ id: `!${id}${nr}:elsewhere.test`, creator: maker, ...more });
    if (levels !== null) room.append("m.room.power_levels", maker, levels, "");
    return room;
  };
  const closed = { joinRule: "invite", name: canary("name"), members: [`@${canary("member")}:elsewhere.test`] };
  const secret = make("secret", FRIEND, allPower(FRIEND), closed);
  secret.append("m.room.topic", FRIEND, { topic: canary("topic") }, "");
  secret.append("m.room.message", FRIEND, { msgtype: "m.text", body: canary("said-before") });
  const office = make("office", FRIEND, allPower(FRIEND), { ...closed, name: canary("office") });
  const square = make("square", FRIEND, LITTLE_POWER);
  const lair = make("lair", STRANGER, allPower(STRANGER));
  const hub = make("hub", FRIEND, allPower(FRIEND));
  for (const alias of aliases.hub) homeserver.aliases.set(alias, hub.id);

  await grant(cast, "host", [
    [["*"], ACTIONS],
    [[secret.id], ACTIONS],
  ]);
  await grant(cast, "raider", [
    [["*"], ACTIONS],
    [aliases.hub, ACTIONS],
  ]);
  const truth = new Truth(cast);
  for (const room of [secret, office]) homeserver.setMembership(room, PSEUDOUSER, "invite", FRIEND);
  await cast.service.untilDelivered();
  done(await cast.service.admin("POST", `${at(office)}/join`, {}));
  for (const room of [secret, square]) done(await host.client.join(room.id));
  for (const room of [square, lair]) done(await raider.client.join(room.id));
  done(await raider.client.join(aliases.hub[0]));
  const made = async (body: JsonObject, by = host): Promise<FakeRoom> => {
    const roomId = stringAt(done(await by.client.ask("POST", "/createRoom", body)), "room_id") ?? "";
    return homeserver.rooms.get(roomId) as FakeRoom;
  };
  const den = await made({ preset: "private_chat", room_version: "12", name: canary("den"), topic: canary("den") });
  const shop = await made({ preset: "public_chat", room_alias_name: `host-shop${nr}`, name: "the host's shop" });
  const own = await made({ preset: "public_chat", name: "the raider's own" }, raider);
  for (const room of [den, shop]) truth.madeFor(room, "host");
  truth.madeFor(own, "raider");
  done(await host.client.ask("PUT", `/directory/room/${encodeURIComponent(aliases.team)}`, { room_id: den.id }));

  const rooms: Rooms = { secret, den, office, shop, square, lair, hub, own };
  await furnish(cast, rooms, truth);
  const reservation = await keepFiles(cast);
  for (const room of Object.values(rooms) as FakeRoom[]) {
    await cast.service.untilRoom(room.id, { phase: "present", load: "loaded" });
  }
  await cast.service.untilDelivered();
  const { grants: hostsGrants } = done(await cast.service.admin("GET", "/tenants/host"));
  const begun = new Map([...homeserver.rooms.values()].map(({ id, timeline }) => [id, timeline.length]));
  const scene = { ...cast, rooms, aliases, truth, reservation, dice, hostsGrants, begun, trace: [] };
  truth.begin(scene);
  return scene;
}

/** What the host has before the war: things said as its personas, a profile, state, notes and files. */
async function furnish({ host }: Cast, rooms: Rooms, truth: Truth): Promise<void> {
  const { client, personas } = host;
  const [ghost, mole] = personas;
  const name = async (user: string, displayname: string): Promise<unknown> =>
    done(await client.as(user).ask("PUT", `/profile/${encodeURIComponent(user)}/displayname`, { displayname }));
  await name(ghost, "Ghost");
  await name(mole, canary("persona"));
  const say = async (room: FakeRoom, user: string, body: string): Promise<void> => {
    if (user !== client.sender) done(await client.as(user).join(room.id));
    truth.sent("host", room, await client.as(user).send(room.id, { msgtype: "m.text", body }));
  };
  await say(rooms.secret, mole, canary("said"));
  await say(rooms.secret, client.sender, canary("said"));
  await say(rooms.den, mole, canary("said"));
  await say(rooms.shop, ghost, "welcome");
  await say(rooms.square, ghost, "good morning");
  for (const room of [rooms.secret, rooms.den]) {
    const content = { kept: canary("state") };
    truth.sent("host", room, await client.ask("PUT", `${at(room)}/state/com.example.a/key`, content));
  }
  truth.sent("host", rooms.square, await client.ask("PUT", `${at(rooms.square)}/state/com.example.a/host`, { v: 1 }));
  const notes = `/user/${encodeURIComponent(client.sender)}/account_data/com.example.notes`;
  done(await client.ask("PUT", notes, { notes: canary("notes") }));
}

/** A file of the host's, and an address for a later one. @returns the address's media ID */
async function keepFiles({ service, host }: Cast): Promise<string> {
  const media = async (path: string, body: unknown): Promise<JsonObject> =>
    done(await service.gateway("POST", `/_matrix/media/${path}`, { token: host.client.token, body }));
  await media("v3/upload", canary("file"));
  const uri = stringAt(await media("v1/create", {}), "content_uri") ?? "";
  return uri.slice(uri.lastIndexOf("/") + 1);
}
