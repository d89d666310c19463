/**
 * `npm run bench:masking`: how fast an initial `/sync` of 10 MB is looked through and masked, compared with parsing it and writing it
 * again. All take the same bytes in turn, several rounds, and the median counts. The ratios count more than the figures.
 */
import { maskAnswer, maskBytes, MaskingStream, mayHoldPseudouser, type Hidden } from "../../src/masking/masking.ts";

const SIZE = 10_000_000;
const PIECE = 64 * 1024;
const ROUNDS = 15;
const WARM_UP = 3;
/** MB a second. */
const GOAL_MASK = 100;
const GOAL_SCAN = 1_000;

/** How a sync's 10 MB lie. */
interface Load {
  readonly name: string;
  readonly rooms: number;
  /** One room in so many has a pseudouser; null for none. */
  readonly oneIn: number | null;
  /** In rooms with a pseudouser, one message in so many is sent by it. */
  readonly spoken: number;
}

const LOADS: readonly Load[] = [
  { name: "1,000 rooms, none with a pseudouser", rooms: 1_000, oneIn: null, spoken: Infinity },
  { name: "1,000 rooms, a tenth with a pseudouser", rooms: 1_000, oneIn: 10, spoken: 20 },
  { name: "1,000 rooms, all with a pseudouser", rooms: 1_000, oneIn: 1, spoken: 20 },
  { name: "1 room, half of the messages a pseudouser's", rooms: 1, oneIn: 1, spoken: 2 },
];

let isSlow = false;
for (const load of LOADS) {
  const json = syncOf(load);
  const hidden = hiddenIn(load);
  const text = (): unknown => JSON.parse(new TextDecoder().decode(json));
  const written = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const ways = {
    // Where there is one, it is found at once.
    ...(load.oneIn === null ? { "look for a pseudouser": () => mayHoldPseudouser(json) } : {}),
    "mask bytes": () => maskBytes(json, hidden),
    "mask in pieces": () => inPieces(json, hidden),
    "parse, mask, write": () => written(maskAnswer(text(), hidden)),
    "parse, write": () => written(text()),
  };
  const speeds = measured(ways, json.length);
  console.log(`\n${load.name} (${(json.length / 1e6).toFixed(1)} MB)`);
  const base = speeds.get("parse, write") ?? NaN;
  for (const [way, speed] of speeds)
    console.log(`  ${way.padEnd(24)} ${speed.toFixed(0).padStart(7)} MB/s  ${(speed / base).toFixed(1).padStart(6)}×`);
  if ((speeds.get("mask bytes") ?? 0) < GOAL_MASK) isSlow = true;
  if ((speeds.get("mask in pieces") ?? 0) < GOAL_MASK) isSlow = true;
  if ((speeds.get("look for a pseudouser") ?? Infinity) < GOAL_SCAN) isSlow = true;
}
console.log(`\n${isSlow ? "✗" : "✓"} goals: mask ≥ ${GOAL_MASK} MB/s, look for a pseudouser ≥ ${GOAL_SCAN} MB/s`);
process.exitCode = isSlow ? 1 : 0;

/** As they come from a socket. */
function inPieces(json: Uint8Array, hidden: Hidden): void {
  const stream = new MaskingStream(hidden);
  for (let at = 0; at < json.length; at += PIECE) stream.push(json.subarray(at, at + PIECE));
  stream.end();
}

/** The median speed of each, in MB a second. */
function measured(ways: Readonly<Record<string, () => unknown>>, bytes: number): Map<string, number> {
  const times = new Map(Object.keys(ways).map((name) => [name, [] as number[]]));
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      way();
      if (round >= 0) times.get(name)?.push(performance.now() - start);
    }
  }
  const median = (of: readonly number[]): number => of.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? NaN;
  return new Map([...times].map(([name, each]) => [name, bytes / 1e3 / median(each)]));
}

function syncOf({ rooms, oneIn, spoken }: Load): Uint8Array {
  const join: Record<string, unknown> = {};
  for (let room = 0; room < rooms; room++)
    join[roomId(room)] = roomOf(room, isAttended(room, oneIn), SIZE / rooms, spoken);
  const answer = { next_batch: "s1", rooms: { join }, presence: { events: [] }, device_one_time_keys_count: {} };
  return new TextEncoder().encode(JSON.stringify(answer));
}

function isAttended(room: number, oneIn: number | null): boolean {
  return oneIn !== null && room % oneIn === 0;
}

function hiddenIn({ rooms, oneIn }: Load): Hidden {
  const counts = new Map<string, { joined: number; invited: number }>();
  for (let room = 0; room < rooms; room++)
    if (isAttended(room, oneIn)) counts.set(roomId(room), { joined: 1, invited: 0 });
  return { counts: (id) => counts.get(id) ?? { joined: 0, invited: 0 }, heroes: () => ["@extra:example.org"] };
}

function roomOf(room: number, hasPseudouser: boolean, size: number, spoken: number): unknown {
  const state: unknown[] = [
    { type: "m.room.name", state_key: "", content: { name: `Room ${room}` }, ...common(eventId(room, 0)) },
  ];
  const heroes = [1, 2, 3].map((user) => `@user${user}:example.org`);
  if (hasPseudouser) {
    state.push(member("@:example.org", "Server", eventId(room, 1)));
    heroes.unshift("@:example.org");
  }
  const timeline: unknown[] = [];
  for (let written = 600; written < size;) {
    const index = timeline.length;
    if (index % 4 === 3)
      state.push(member(`@user${index}:example.org`, `User ${index}`, eventId(room, 100_000 + index)));
    const sender = hasPseudouser && index % spoken === 0 ? "@:example.org" : `@user${index % 50}:example.org`;
    const event = message(sender, index, eventId(room, index + 2));
    timeline.push(event);
    written += JSON.stringify(event).length + (index % 4 === 3 ? JSON.stringify(state.at(-1)).length : 0);
  }
  return {
    timeline: { events: timeline, prev_batch: "t1", limited: true },
    state: { events: state },
    account_data: { events: [] },
    ephemeral: { events: [] },
    unread_notifications: { notification_count: 0, highlight_count: 0 },
    summary: { "m.heroes": heroes, "m.joined_member_count": 25, "m.invited_member_count": 0 },
  };
}

function member(userId: string, displayname: string, id: string): Record<string, unknown> {
  const content = { membership: "join", displayname, avatar_url: "mxc://example.org/SEbwzXLNTYrKcUgdtOYxJcVz" };
  return { type: "m.room.member", sender: userId, state_key: userId, content, ...common(id) };
}

function message(sender: string, index: number, id: string): unknown {
  const body = `Message ${index}: they said "so it goes"\nand left. `.repeat(1 + (index % 5));
  const content = { msgtype: "m.text", body, "m.mentions": { user_ids: ["@user1:example.org"] } };
  return { type: "m.room.message", sender, content, ...common(id) };
}

function common(eventId: string): Record<string, unknown> {
  return { origin_server_ts: 1_750_000_000_000, unsigned: { age: 4_711 }, event_id: eventId };
}

function eventId(room: number, index: number): string {
  return `$${Buffer.from(`${room}/${index}`.padStart(32, "x")).toString("base64url")}`;
}

function roomId(room: number): string {
  return `!${Buffer.from(`room ${room}`.padStart(32, "x")).toString("base64url")}`;
}
