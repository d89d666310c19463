import { RoomLoader } from "../../src/ledger/loading/loader.ts";
import { Upgrades } from "../../src/attendance/upgrades/upgrades.ts";
import type { StateEvent } from "../../src/model/event.ts";
import { isStateEvent } from "../../src/model/event.ts";
import type { RoomId } from "../../src/model/ids.ts";
import { Signal } from "../../src/concurrency/signal.ts";
import type { RoomSummary } from "../../src/policy/question.ts";
import { RuleBook } from "../../src/policy/rule-book.ts";
import type { PolicyRule } from "../../src/policy/rule.ts";
import type { Tenants } from "../../src/policy/tenants.ts";
import { FakeRooms, Program, PROMPT, PUBLIC, silent } from "./attending.ts";
import { seededRandom, type ManualClock } from "./clock.ts";
import { ALICE, incoming, OWN, recordOf, state } from "./events.ts";
import type { Stores } from "./storage.ts";

export interface TownRoom {
  readonly predecessor: RoomId | null;
  readonly isOpen: boolean;
}

/** Rooms as a homeserver has them: what m.room.create says, who may join, and a tombstone that comes and goes. */
export class Town extends FakeRooms {
  readonly places: ReadonlyMap<RoomId, TownRoom>;
  /** Which rooms ever named which as their replacement: old room and new, with a space between. */
  readonly named = new Set<string>();
  readonly #tombstones = new Map<RoomId, StateEvent>();
  readonly #time: ManualClock;
  #events = 0;

  constructor(clock: ManualClock, places: ReadonlyMap<RoomId, TownRoom>) {
    super(clock);
    this.#time = clock;
    this.places = places;
    this.manner = (kind, roomId) =>
      kind === "leave" || this.#letsIn(roomId) ? PROMPT : { ...PROMPT, outcome: "refused" };
  }

  /** A tombstone, and the event that tells of it. Null takes it back, of which a redaction tells, which changes no ledger. */
  bury(roomId: RoomId, replacement: RoomId | null): StateEvent | null {
    const before = this.#tombstones.get(roomId);
    if (replacement === null) {
      if (before !== undefined) this.#tombstones.set(roomId, { ...before, content: {} });
      return null;
    }
    this.named.add(`${roomId} ${replacement}`);
    this.#events += 1;
    const id = `tombstone-${this.#events}`;
    const event = state("m.room.tombstone", { replacement_room: replacement }, { id, room: roomId });
    this.#tombstones.set(roomId, event);
    return event;
  }

  replacementOf(roomId: RoomId): string | null {
    const named = this.#tombstones.get(roomId)?.content["replacement_room"];
    return typeof named === "string" ? named : null;
  }

  look(roomId: RoomId): RoomSummary | null {
    return this.places.get(roomId)?.isOpen === true ? PUBLIC : null;
  }

  async stateOf(roomId: RoomId): Promise<readonly StateEvent[]> {
    const place = this.places.get(roomId);
    const own = await this.ownMembership(roomId);
    if (place === undefined || own === null) return [];
    const predecessor = place.predecessor === null ? {} : { predecessor: { room_id: place.predecessor } };
    const at = { room: roomId, sender: ALICE };
    const held = [
      state("m.room.create", { room_version: "12", ...predecessor }, { ...at, id: `create ${roomId}` }),
      state("m.room.join_rules", { join_rule: place.isOpen ? "public" : "invite" }, { ...at, id: `rules ${roomId}` }),
      this.#tombstones.get(roomId),
      own,
    ];
    return held.filter((event) => event !== undefined).filter((event) => isStateEvent(event));
  }

  #letsIn(roomId: RoomId): boolean {
    return this.places.get(roomId)?.isOpen === true || this.membership(roomId) === "invite";
  }

  get now(): number {
    return this.#time.now();
  }
}

export interface TownProgramParts {
  readonly stores: Stores;
  readonly town: Town;
  readonly clock: ManualClock;
  readonly tenants: Tenants;
  readonly rules?: readonly PolicyRule[];
}

/** The program as far as upgrades are its matter: attendance, loading, and what brings leases along. */
export class TownProgram {
  readonly program: Program;
  readonly #loader: RoomLoader;
  readonly #upgrades: Upgrades;
  readonly #town: Town;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #told = 0;

  constructor({ stores, town, clock, tenants, rules = [] }: TownProgramParts) {
    this.#town = town;
    const random = seededRandom(7);
    const book = new RuleBook();
    book.replace("operator", rules);
    const look = async (roomId: RoomId): Promise<RoomSummary | null> => town.look(roomId);
    this.program = new Program({ stores, rooms: town, clock, random, look, tenants, rules: book });
    const { program } = this;
    const loaded = new Signal();
    const alive = <Value>(ask: () => Promise<Value>): Promise<Value> =>
      program.isDead ? new Promise(() => {}) : ask().then((value) => (program.isDead ? new Promise(() => {}) : value));
    this.#loader = new RoomLoader({
      loads: stores.loads,
      states: {
        async *stream(roomId) {
          yield await alive(() => town.stateOf(roomId));
        },
      },
      entered: async () => undefined,
      own: OWN,
      clock: program.clock,
      random,
      log: silent,
      repaired: () => {},
      loaded,
      wake: program.keeper.stepped,
    });
    const refusals = { note: async () => {} };
    this.#upgrades = new Upgrades({
      store: stores.upgrades,
      ledger: stores.ledger,
      replacementOf: (roomId) => alive(async () => town.replacementOf(roomId)),
      policy: program.policy,
      tenants,
      moved: program.desk.changed,
      desk: program.desk,
      refusals,
      signals: [program.recorder.ownChanged, loaded],
      clock: program.clock,
      log: silent,
    });
  }

  async start(): Promise<void> {
    await this.program.start();
    this.#loader.start();
    this.#running = this.#upgrades.run(this.#abort.signal);
  }

  /** The homeserver tells of a tombstone. */
  async hears(event: StateEvent): Promise<void> {
    this.#told += 1;
    await this.program.recorder.record(incoming(`told-${this.#town.now}-${event.event_id}-${this.#told}`, [event]));
  }

  die(): void {
    this.program.die();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all([this.program.stop(), this.#loader.stop(), this.#running]);
  }
}

/** One room replaces another, as far as the ledger goes: each names the other, and the pseudouser is in the new one. */
export async function replace(stores: Stores, from: RoomId, to: RoomId, at = 500): Promise<void> {
  const own = state("m.room.member", { membership: "join" }, { id: `own ${to}`, room: to, sender: OWN }, OWN);
  const create = state("m.room.create", { predecessor: { room_id: from } }, { id: `create ${to}`, room: to });
  await stores.ledger.record(recordOf(`in ${to}`, [own], { receivedAt: at }));
  const ticket = await stores.loads.begin(to);
  await stores.loads.part(ticket, recordOf("", [own, create]).changes, at);
  await stores.loads.finish(ticket, at);
  await bury(stores, from, to, at);
}

export async function bury(stores: Stores, from: RoomId, to: string, at = 500): Promise<void> {
  const event = state("m.room.tombstone", { replacement_room: to }, { id: `buried ${from} ${to}`, room: from });
  await stores.ledger.record(recordOf(`tombstone ${from} ${to}`, [event], { receivedAt: at }));
}

/** Every lease that may follow does; the number that did. */
export async function bringAll(stores: Stores, from: RoomId, to: RoomId, at = 500): Promise<number> {
  let all = 0;
  for (const lease of await stores.upgrades.followers(from))
    all += (await stores.upgrades.move(to, lease, at, 200)) ?? 0;
  return all;
}
