import type { JoinWay, MoveAnswer, PseudouserMoves } from "../../src/attendance/homeserver/moves.ts";
import { Keeper, type KeeperOptions } from "../../src/attendance/keeper.ts";
import { LeaseDesk } from "../../src/attendance/leases/desk.ts";
import { expiredLeases } from "../../src/ledger/cleaning.ts";
import { Recorder } from "../../src/ledger/recorder.ts";
import type { Clock, Random } from "../../src/model/clock.ts";
import { EmissaryError } from "../../src/model/errors.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { RoomId, ServerName } from "../../src/model/ids.ts";
import type { Logger } from "../../src/model/logger.ts";
import type { Membership } from "../../src/model/membership.ts";
import { workUntil } from "../../src/concurrency/worker.ts";
import type { Limits, RoomSummary } from "../../src/policy/question.ts";
import { Budgets, type Budget } from "../../src/policy/budgets.ts";
import type { BudgetKind } from "../../src/policy/budget-subjects.ts";
import { RuleBook } from "../../src/policy/rule-book.ts";
import type { Tenants } from "../../src/policy/tenants.ts";
import { Policy } from "../../src/policy/policy.ts";
import { ALICE, incoming, member, OWN } from "./events.ts";
import { ANYBODY } from "./tenants.ts";
import type { Stores } from "./storage.ts";
import { NOWHERE } from "./pointers.ts";

export const silent: Logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

export const PUBLIC: RoomSummary = {
  joinRule: "public",
  worldReadable: true,
  joinedMembers: 2,
  version: "11",
  encryption: null,
};

/** The pseudouser's moves, as the keeper makes them. */
type HeldMoves = Pick<PseudouserMoves, "join" | "leave" | "ownMembership">;

/** How a room answers a join or a leave: after `takes` milliseconds, and `lost` where it was done and the answer did not arrive. */
export interface Manner {
  readonly takes: number;
  readonly outcome: "done" | "lost" | "refused" | "retry";
  readonly retryAfter: number | null;
}

export const PROMPT: Manner = { takes: 0, outcome: "done", retryAfter: null };

/** What the homeserver was asked for, when. */
export interface Move {
  readonly kind: "join" | "leave";
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
  /** What it tells everybody. */
  readonly reason?: string | null;
  readonly at: number;
}

/**
 * A homeserver as attendance sees it: rooms, the pseudouser's membership in each, and events that wait to be sent. It outlives
 * the program: a join that was under way when that died may still be carried out.
 */
export class FakeRooms implements HeldMoves {
  /** How rooms behave; a test may change it at any time. */
  manner: (kind: "join" | "leave", roomId: RoomId) => Manner = () => PROMPT;
  /** Whether it tells our membership when asked. */
  tells: () => "yes" | "nothing" | "unreachable" = () => "yes";
  readonly moves: Move[] = [];
  /** The most moves that were ever under way at once: in all, and in one room. */
  most = { inAll: 0, inOneRoom: 0 };

  readonly #clock: Clock;
  readonly #own = new Map<RoomId, RoomEvent>();
  #underWay = new Map<RoomId, number>();
  readonly #outbox: RoomEvent[] = [];
  #sending: Promise<unknown> = Promise.resolve();
  #events = 0;
  #transactions = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  join(roomId: RoomId, { via, reason }: JoinWay, abort: AbortSignal): Promise<MoveAnswer> {
    return this.#move({ kind: "join", roomId, via, reason, at: this.#clock.now() }, abort);
  }

  leave(roomId: RoomId, abort: AbortSignal, reason?: string): Promise<MoveAnswer> {
    const given = reason === undefined ? {} : { reason };
    return this.#move({ kind: "leave", roomId, via: [], ...given, at: this.#clock.now() }, abort);
  }

  async ownMembership(roomId: RoomId): Promise<RoomEvent | null> {
    const told = this.tells();
    if (told === "unreachable") throw new EmissaryError("homeserver-unreachable", "The homeserver is not there.");
    return told === "nothing" ? null : (this.#own.get(roomId) ?? null);
  }

  /** What is true on the homeserver, whatever we know of it. */
  membership(roomId: RoomId): Membership | null {
    return (this.#own.get(roomId)?.content["membership"] ?? null) as Membership | null;
  }

  /** Somebody else changes our membership. */
  put(roomId: RoomId, membership: "leave" | "ban" | "invite"): void {
    this.#set(roomId, membership, ALICE);
  }

  /** The program that was connected died: what it asked for may still be done, and is no longer its doing. */
  disconnect(): void {
    this.#underWay = new Map();
  }

  joinsOf(roomId: RoomId): number {
    return this.moves.filter((move) => move.kind === "join" && move.roomId === roomId).length;
  }

  leavesOf(roomId: RoomId): number {
    return this.moves.filter((move) => move.kind === "leave" && move.roomId === roomId).length;
  }

  /** Sends up to `limit` waiting events, each in a transaction of its own, until answered. One at a time, as homeservers do. */
  deliver(recorder: Recorder, limit = Infinity): Promise<void> {
    const mine = this.#sending.then(() => this.#deliver(recorder, limit));
    this.#sending = mine.catch(() => undefined);
    return mine;
  }

  /** What a program has of this homeserver: once `isDead` is true, no answer reaches it and nothing it asks arrives. */
  seenBy(isDead: () => boolean): HeldMoves {
    const alive = <Value>(ask: () => Promise<Value>): Promise<Value> =>
      isDead()
        ? new Promise(() => {})
        : new Promise((resolve, reject) => {
            ask().then(
              (value) => isDead() || resolve(value),
              (error: unknown) => isDead() || reject(error as Error),
            );
          });
    return {
      join: (roomId, way, abort) => alive(() => this.join(roomId, way, abort)),
      leave: (roomId, abort, reason) => alive(() => this.leave(roomId, abort, reason)),
      ownMembership: (roomId) => alive(() => this.ownMembership(roomId)),
    };
  }

  async #deliver(recorder: Recorder, limit: number): Promise<void> {
    for (let sent = 0; sent < limit; sent += 1) {
      const event = this.#outbox[0];
      if (event === undefined) return;
      await recorder.record(incoming(String(this.#transactions), [event]));
      this.#transactions += 1;
      this.#outbox.shift();
    }
  }

  async #move(move: Move, abort: AbortSignal): Promise<MoveAnswer> {
    const { kind, roomId } = move;
    const brokenOff = (): MoveAnswer | null =>
      abort.aborted
        ? { outcome: "retry", code: "homeserver-unreachable", reason: "broken off", retryAfter: null }
        : null;
    const early = brokenOff();
    if (early !== null) return early;
    this.moves.push(move);
    const underWay = this.#underWay;
    this.#count(underWay, roomId, 1);
    const { takes, outcome, retryAfter } = this.manner(kind, roomId);
    if (takes > 0) await this.#clock.sleep(takes, abort);
    this.#count(underWay, roomId, -1);
    const late = brokenOff();
    if (late !== null) return late;
    if (outcome === "retry") return { outcome, code: "M_LIMIT_EXCEEDED", reason: "too many requests", retryAfter };
    const now = this.membership(roomId);
    const may = outcome !== "refused" && (kind === "join" ? now !== "ban" : now === "join" || now === "invite");
    if (!may) return { outcome: "refused", code: "M_FORBIDDEN", reason: "no" };
    if (kind === "leave" || now !== "join") this.#set(roomId, kind, OWN);
    return outcome === "done"
      ? { outcome }
      : { outcome: "retry", code: "homeserver-unreachable", reason: "the answer was lost", retryAfter };
  }

  #set(roomId: RoomId, membership: Membership, sender: typeof OWN): void {
    this.#events += 1;
    const before = this.#own.get(roomId)?.event_id.slice(1);
    const event = member(OWN, membership, { id: `own-${this.#events}`, room: roomId, sender, replaces: before });
    this.#own.set(roomId, event);
    this.#outbox.push(event);
  }

  #count(underWay: Map<RoomId, number>, roomId: RoomId, by: number): void {
    underWay.set(roomId, (underWay.get(roomId) ?? 0) + by);
    const counts = [...underWay.values()];
    this.most = {
      inAll: Math.max(
        this.most.inAll,
        counts.reduce((sum, count) => sum + count, 0),
      ),
      inOneRoom: Math.max(this.most.inOneRoom, ...counts),
    };
  }
}

export const OPTIONS: KeeperOptions = {
  linger: 60_000,
  maxRooms: 1_000,
  concurrency: 4,
  joinsPerSecond: Infinity,
  joinTimeout: 600_000,
  joinReason: null,
};
export const NO_LIMITS: Limits = {
  maxRooms: 1_000,
  maxMembers: 1_000_000,
  maxJoinsUnderWay: 10_000,
  refuseVersions: [],
};
const MANY: Budget = { joins: 1_000_000, per: 1 };
/** Budgets that nobody in a test uses up, the room's own included. */
export const PLENTY: Readonly<Record<BudgetKind, Budget>> = {
  room: MANY,
  user: MANY,
  tenant: MANY,
  server: MANY,
  all: MANY,
};

export interface ProgramParts {
  readonly stores: Stores;
  readonly rooms: FakeRooms;
  readonly clock: Clock;
  readonly random: Random;
  readonly options?: Partial<KeeperOptions>;
  readonly limits?: Partial<Limits>;
  readonly look?: (roomId: RoomId) => Promise<RoomSummary | null>;
  readonly tenants?: Pick<Tenants, "byId">;
  readonly rules?: RuleBook;
}

/** As much of the running program as attendance is made of: policy, desk, sweeper, recorder and keeper over a database. */
export class Program {
  readonly stores: Stores;
  readonly recorder: Recorder;
  readonly desk: LeaseDesk;
  readonly keeper: Keeper;
  readonly policy: Policy;
  readonly #clock: Clock;
  readonly #sweeping = new AbortController();
  #isDead = false;
  #sweeper: Promise<void> = Promise.resolve();

  constructor({ stores, rooms, clock, random, options, limits, look = async () => PUBLIC, ...more }: ProgramParts) {
    this.stores = stores;
    // A dead program sleeps for ever.
    this.#clock = {
      now: () => clock.now(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (this.#isDead) await new Promise(() => {});
      },
    };
    this.recorder = new Recorder(stores.ledger, OWN, this.#clock, random);
    this.policy = new Policy({
      own: OWN,
      ledger: stores.ledger,
      looker: { look },
      attended: stores.attendance,
      pointers: NOWHERE,
      tenants: more.tenants ?? ANYBODY,
      rules: more.rules ?? new RuleBook(),
      coolDowns: stores.coolDowns,
      budgets: new Budgets(PLENTY, this.#clock),
      limits: { ...NO_LIMITS, ...limits },
      clock: this.#clock,
    });
    this.desk = new LeaseDesk(stores.leases, this.policy, this.#clock, { note: async () => {} });
    this.keeper = new Keeper({
      standIns: { letIn: async () => null },
      store: stores.attendance,
      moves: rooms.seenBy(() => this.#isDead),
      policy: this.policy,
      desk: this.desk,
      recorder: this.recorder,
      clock: this.#clock,
      random,
      log: silent,
      refused: () => {},
      options: { ...OPTIONS, ...options },
    });
  }

  async start(): Promise<void> {
    await this.recorder.start();
    await this.keeper.start();
    this.#sweeper = workUntil(
      this.#sweeping.signal,
      expiredLeases({ leases: this.stores.leases, ended: this.desk.changed, clock: this.#clock, log: silent }),
    );
  }

  async stop(): Promise<void> {
    this.#sweeping.abort();
    await this.keeper.stop();
    await this.#sweeper;
  }

  /** The time as it passes for this program. */
  get clock(): Clock {
    return this.#clock;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** From now on it does nothing more, and learns nothing more. */
  die(): void {
    this.#isDead = true;
  }
}
