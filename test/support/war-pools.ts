import { SERVER } from "./fake-homeserver.ts";
import type { FakeRoom } from "./fake-homeserver-rooms.ts";
import { PSEUDOUSER } from "./service-app.ts";
import { FRIEND, STRANGER } from "./war-cast.ts";
import type { Dice } from "./war-dice.ts";
import type { Scene } from "./war-scene.ts";

/** What the raider's request was given so far. */
export interface Chosen {
  /** Whom it is made as, as `user_id` says. */
  readonly user: string;
  readonly params: ReadonlyMap<string, string>;
}

type Pool = (scene: Scene, dice: Dice, chosen: Chosen) => string;

/** Rooms where the raider is, those where it is not, and what is none. */
export function roomsOf({ rooms }: Scene) {
  const { own, lair, square, hub, shop, secret, den, office } = rooms;
  return {
    entered: [own, own, lair, square, hub].map(({ id }) => id),
    closed: [secret, den, office].map(({ id }) => id),
    others: [shop.id, "!nowhere:elsewhere.test", "!nowhere"],
    nonsense: ["no-room", "..", "!", `!${"x".repeat(300)}:a.test`],
  };
}

const someRoom: Pool = (scene, dice) => {
  const { entered, closed, others, nonsense } = roomsOf(scene);
  return dice.among([11, entered], [5, closed], [3, others], [1, nonsense]);
};

function roomOf({ homeserver, rooms }: Scene, { params }: Chosen): FakeRoom {
  return homeserver.rooms.get(params.get("roomId") ?? "") ?? rooms.square;
}

export function usersOf({ raider, host }: Scene) {
  return {
    own: [raider.client.sender, ...raider.personas],
    hosts: [host.client.sender, host.personas[0]],
    people: [FRIEND, STRANGER, `@alice:${SERVER}`, "@victim:elsewhere.test"],
    others: [PSEUDOUSER, `@_emissary:${SERVER}`, "nobody", "@"],
  };
}

/** Aliases of everybody, those that the raider may make among them. */
export function aliasesOf({ aliases, rooms }: Scene) {
  const { hub, team, shop } = aliases;
  const serial = rooms.own.id.replace(/\D/g, "");
  return {
    known: [...hub, team, shop],
    own: [1, 2].map((nr) => `#raider${nr}-${serial}:${SERVER}`),
    nonsense: ["#", "x"],
  };
}

const someAlias: Pool = (scene, dice) => {
  const { known, own, nonsense } = aliasesOf(scene);
  return dice.among([5, known], [5, own], [1, nonsense]);
};

/** What the host has and the raider knows of, where nobody but the host may use it. */
export function eventsOf(scene: Scene, room: FakeRoom): Record<"here" | "own" | "hosts" | "secret", readonly string[]> {
  const { truth, rooms } = scene;
  return {
    here: room.timeline.slice(-12).map((event) => event.event_id),
    own: room.timeline.map((event) => event.event_id).filter((id) => truth.ownerOf(id) === "raider"),
    hosts: [...truth.hostsIn(room), ...truth.hostsIn(rooms.square)],
    secret: [rooms.secret, rooms.den].flatMap(({ timeline }) => timeline.slice(-3).map((event) => event.event_id)),
  };
}

export const TYPES = {
  common: ["m.room.message", "m.room.message", "com.example.a", "m.room.topic", "m.reaction", "m.sticker"],
  mighty: [
    "m.room.power_levels",
    "m.room.tombstone",
    "m.room.canonical_alias",
    "m.room.member",
    "m.room.create",
    "m.room.redaction",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.server_acl",
    "m.room.third_party_invite",
    "m.space.child",
    "io.element.functional_members",
  ],
} as const;

const of =
  (...texts: readonly string[]): Pool =>
  (_scene, dice) =>
    dice.pick(texts);

/** What each parameter of a path is drawn from. The war stops at an endpoint with one that is not here. */
export const POOLS: Readonly<Record<string, Pool>> = {
  roomId: someRoom,
  roomIdOrAlias: (scene, dice, chosen) => dice.pick([someRoom, someAlias])(scene, dice, chosen),
  alias: someAlias,
  userId: (scene, dice, { user }) => {
    const { own, hosts, people, others } = usersOf(scene);
    return dice.among([8, [user]], [3, own], [4, hosts], [2, people], [2, others]);
  },
  eventId: (scene, dice, chosen) => {
    const { here, own, hosts, secret } = eventsOf(scene, roomOf(scene, chosen));
    return dice.among([4, here], [5, own], [5, hosts], [2, secret], [1, ["$nowhere", "no-event", ".."]]);
  },
  eventType: (_scene, dice) => dice.among([6, TYPES.common], [3, TYPES.mighty], [1, ["", "..", "m.room.encrypted"]]),
  stateKey: (scene, dice) => {
    const { own, hosts, others } = usersOf(scene);
    return dice.among([4, ["", "key", "host"]], [1, own], [2, hosts], [1, others], [1, [scene.rooms.secret.id, "%"]]);
  },
  // Few, so that they meet: with each other's, and with those that the host uses.
  txnId: (_scene, dice) => dice.pick(["1", "2", "3", "host~~1", "raider~~1", "~", "..", String(dice.below(1_000_000))]),
  relType: of("m.replace", "m.thread", "m.annotation", "m.reference", "x"),
  filterId: of("0", "1", "x"),
  receiptType: of("m.read", "m.read.private", "m.fully_read", "x"),
  networkId: of("raider", "host", "irc"),
  serverName: of(SERVER, SERVER, "elsewhere.test", "evil.test", ".."),
  mediaId: ({ reservation }, dice) => dice.among([3, [reservation]], [2, ["reserved0", "reserved1", "x1", ".."]]),
  fileName: of("cat.png", "..", "%2e%2e"),
  type: of("com.example.notes", "com.example.other", "m.direct", "org.matrix.msc1777.alias:#x", "a:b", ".."),
  tag: of("m.favourite", "x"),
  deviceId: of("ALICE", "X", ".."),
  appserviceId: of("raider", "raider", "host", "emissary", "nobody"),
  protocol: of("irc", "x"),
  scope: of("global"),
  kind: of("override"),
  ruleId: of("x"),
};

/** @throws where no pool is given for a parameter: the war has to know what is interesting there */
export function poolFor(name: string): Pool {
  const pool = POOLS[name];
  if (pool === undefined) throw new Error(`give the war a pool for parameter ${name} (test/support/war-pools.ts)`);
  return pool;
}
