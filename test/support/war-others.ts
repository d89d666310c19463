import { TENANT_ACTIONS } from "../../src/model/tenant.ts";
import { SERVER } from "./fake-homeserver.ts";
import type { FakeRoom } from "./fake-homeserver-rooms.ts";
import { PSEUDOUSER } from "./service-app.ts";
import { take, type Reply } from "./tenant-listener.ts";
import { allPower, done, FRIEND, grant, nextNumber, STRANGER, type Cast } from "./war-cast.ts";
import type { Dice } from "./war-dice.ts";
import { usersOf } from "./war-pools.ts";
import type { Scene } from "./war-scene.ts";

type Deed = (scene: Scene, dice: Dice) => unknown;

function privateRoom({ rooms }: Scene, dice: Dice): FakeRoom {
  return dice.pick([rooms.secret, rooms.den, rooms.office]);
}

/** What a stranger says of the raider's rooms is to move nobody into the host's. */
const tombstone: Deed = (scene, dice) => {
  const { homeserver, rooms } = scene;
  const to = dice.among([6, [privateRoom(scene, dice).id]], [1, [rooms.shop.id]], [1, ["!nowhere:evil.test"]]);
  homeserver.send(rooms.lair, STRANGER, "m.room.tombstone", { body: "moved", replacement_room: to }, "");
};

/** A room that does name the old one, and is private: whom the pseudouser is in it for has nothing to do with the raider. */
const honestTombstone: Deed = (scene, dice) => {
  const { homeserver, rooms } = scene;
  const isPrivate = dice.chance(0.7);
  const next = homeserver.makeRoom({
    id: `!next${nextNumber()}:evil.test`,
    creator: STRANGER,
    joinRule: isPrivate ? "invite" : "public",
    creation: { predecessor: { room_id: rooms.lair.id, event_id: "$x" } },
  });
  if (isPrivate) homeserver.setMembership(next, PSEUDOUSER, "invite", STRANGER);
  homeserver.send(rooms.lair, STRANGER, "m.room.tombstone", { body: "moved", replacement_room: next.id }, "");
};

/** Who has the alias says where it points: a friend of the raider's here, or the stranger's server. */
const repoint: Deed = (scene, dice) => {
  const { homeserver, aliases, rooms } = scene;
  const to = dice.among([5, [privateRoom(scene, dice)]], [2, [rooms.shop, rooms.square]], [2, [rooms.hub]]);
  homeserver.aliases.set(dice.pick(aliases.hub), to.id);
};

const claimAlias: Deed = ({ homeserver, rooms, aliases }, dice) => {
  const alias = dice.pick([...aliases.hub, aliases.team, aliases.shop]);
  homeserver.send(rooms.lair, STRANGER, "m.room.canonical_alias", { alias, alt_aliases: [...aliases.hub] }, "");
};

/** Invites of the pseudouser and of tenants' users, in whose reason a tenant is named. */
const invite: Deed = (scene, dice) => {
  const { homeserver } = scene;
  const user = dice.among([4, [PSEUDOUSER]], [2, usersOf(scene).hosts], [1, usersOf(scene).own]);
  const room = homeserver.makeRoom({ id: `!bait${nextNumber()}:evil.test`, creator: STRANGER, joinRule: "invite" });
  const reason = dice.pick(["raider", "host", "raider host", scene.host.client.sender, ""]);
  homeserver.send(room, STRANGER, "m.room.member", { membership: "invite", reason }, user);
};

const setLevels: Deed = ({ homeserver, rooms }, dice) => {
  const [room, maker] = dice.pick([[rooms.lair, STRANGER] as const, [rooms.hub, FRIEND] as const]);
  const levels = allPower(maker);
  homeserver.send(room, maker, "m.room.power_levels", dice.chance(0.8) ? levels : { users: { [maker]: 100 } }, "");
};

const kick: Deed = ({ homeserver, rooms }, dice) => {
  homeserver.setMembership(rooms.lair, PSEUDOUSER, dice.pick(["leave", "ban"]), STRANGER);
};

/** A person with power over the square removes something, of whomever. */
const redact: Deed = ({ homeserver, rooms: { square }, truth }, dice) => {
  const { event_id: target, type } = dice.pick(square.timeline.slice(-8));
  if (type !== "m.room.message") return;
  truth.gone(target);
  homeserver.sender.push(square.redact(target, FRIEND, {}));
};

const setState: Deed = ({ homeserver, rooms, truth }, dice) => {
  const key = dice.pick(["", "key", "host"]);
  const event = homeserver.send(rooms.square, FRIEND, "com.example.a", { v: "a person's" }, key);
  truth.ownerOf(event.event_id);
};

const speak: Deed = ({ homeserver, rooms }, dice) => {
  homeserver.say(dice.pick([rooms.secret, rooms.shop, rooms.square, rooms.hub]), FRIEND, `a person's ${nextNumber()}`);
};

/** What the raider was granted, one way or another. */
const regrant: Deed = (scene, dice) => {
  const all = TENANT_ACTIONS;
  const { hub } = scene.aliases;
  return grant(scene, "raider", [
    [["*"], all],
    [dice.pick([[...hub], [`#*:${SERVER}`], [scene.rooms.hub.id, ...hub], ["#hub*:*", "!hub*"]]), all],
  ]);
};

/** The operator holds the host's deliveries back for a moment. */
const restartCourier: Deed = async ({ service }, dice) => {
  const of = dice.pick(["host", "raider"]);
  done(await service.admin("POST", `/tenants/${of}/pause`, {}));
  done(await service.admin("POST", `/tenants/${of}/resume`, {}));
};

/** The raider's server takes nothing for a while: with a failure, or by saying nothing at all. */
const sulk: Deed = ({ raider: { listener } }, dice) => {
  const fail: Reply = (response) => response.writeHead(500).end();
  listener.reply = dice.pick([take, fail, () => {}]);
};

const DEEDS: readonly Deed[] = [
  ...[tombstone, tombstone, tombstone, honestTombstone, repoint, repoint, claimAlias, invite, invite],
  ...[setLevels, redact, setState, speak, speak, speak, regrant, regrant, restartCourier, sulk],
];

/** Somebody who is neither of the two tenants does something. */
export async function othersAct(scene: Scene, dice: Dice): Promise<void> {
  const deed = dice.chance(0.02) ? kick : dice.pick(DEEDS);
  scene.trace.push(`others: ${deed.name}`);
  await deed(scene, dice);
}

/** What others have left behind that would hold up what comes next. */
export function calm({ raider }: Pick<Cast, "raider">): void {
  raider.listener.reply = take;
}
