import { CommitQueue } from "../../../../src/tenants/delivery/commit-queue.ts";
import type { DeliveryStore, Place, Step } from "../../../../src/tenants/store/deliveries.ts";
import { Courier } from "../../../../src/tenants/delivery/courier.ts";
import type { Outcome } from "../../../../src/tenants/delivery/outcome.ts";
import { DeliveryState } from "../../../../src/tenants/delivery/delivery-state.ts";
import type { Feed, FeedLimits, FeedPiece } from "../../../../src/tenants/feed/feed.ts";
import type { RoomEvent } from "../../../../src/model/event.ts";
import { parsedObject, type JsonObject } from "../../../../src/model/json.ts";
import { ManualClock, seededRandom, settle } from "../../../support/clock.ts";
import { message } from "../../../support/events.ts";
import { tenant } from "../../../support/tenants.ts";
import type { LogFields, Logger } from "../../../../src/model/logger.ts";

export const TENANT = tenant("telegram", { url: "http://127.0.0.1:1", ephemeral: true });

/** What an operator is told, without what is for debugging. */
class Told implements Logger {
  readonly entries: string[] = [];
  error = this.#tell("error");
  warn = this.#tell("warn");
  info = this.#tell("info");
  debug = (): void => undefined;

  #tell(level: string): (event: string, fields: LogFields) => void {
    return (event) => this.entries.push(`${level} ${event}`);
  }
}

/** A journal of which the tenant's part is known. */
export class FakeFeed implements Feed {
  readonly #events: { readonly seq: number; readonly concerns: boolean; readonly event: RoomEvent }[] = [];
  /** How many entries a piece looks at. */
  looks = 150;

  append(concerns: boolean): void {
    const seq = this.#events.length + 1;
    this.#events.push({ seq, concerns, event: message({ id: String(seq) }) });
  }

  /** What the tenant is to get, in order. */
  get wanted(): string[] {
    return this.#events.filter(({ concerns }) => concerns).map(({ event }) => event.event_id);
  }

  get last(): number {
    return this.#events.length;
  }

  async read(_tenant: unknown, after: number, limits: FeedLimits, until: number | null = null): Promise<FeedPiece> {
    const end = Math.min(until ?? this.last, this.last);
    const events: { seq: number; event: RoomEvent }[] = [];
    let upTo = after;
    while (upTo < end && events.length < limits.events && upTo - after < this.looks) {
      const entry = this.#events[upTo];
      upTo += 1;
      if (entry?.concerns === true) events.push(entry);
    }
    return { events, upTo, isMore: upTo < end };
  }
}

/** What is on disk; outlives the process. */
export class Disk implements Pick<DeliveryStore, "place" | "write"> {
  at: Place = { epoch: 1, cursor: 0, pendingTo: null, opening: "" };
  commits = 0;

  async place(): Promise<Place> {
    return this.at;
  }

  async write(steps: readonly Step[]): Promise<void> {
    this.commits += 1;
    for (const { epoch, cursor, pendingTo, opening } of steps) {
      if (epoch === this.at.epoch) this.at = { epoch, cursor: Math.max(cursor, this.at.cursor), pendingTo, opening };
    }
  }
}

export const TAKEN: Outcome = { kind: "taken" };
export const REFUSED: Extract<Outcome, { kind: "not-taken" }> = {
  kind: "not-taken",
  isToken: false,
  isPath: false,
  blames: "events",
  sentence: "The tenant answers 500.",
};

export const SILENT: Outcome = { ...REFUSED, blames: "silence", sentence: "The tenant gave no answer." };

export interface Put {
  readonly txnId: string;
  readonly body: string;
}

/** The tenant's own server: what it was sent, and what it made of it. */
export class FakeTenant {
  readonly puts: Put[] = [];
  /** By their transactions' IDs: a tenant takes each one once. */
  readonly transactions = new Map<string, string>();

  take({ txnId, body }: Put): void {
    this.puts.push({ txnId, body });
    const known = this.transactions.get(txnId);
    if (known !== undefined && known !== body) throw new Error(`${txnId} came with other content`);
    this.transactions.set(txnId, body);
  }

  get events(): string[] {
    return [...this.transactions.values()].flatMap(eventIdsIn);
  }

  get ephemeral(): JsonObject[] {
    return this.puts.flatMap(({ body }) => (parsedObject(Buffer.from(body))["ephemeral"] ?? []) as JsonObject[]);
  }
}

export function eventIdsIn(body: string): string[] {
  return (parsedObject(Buffer.from(body))["events"] as JsonObject[]).map((event) => event["event_id"] as string);
}

export interface WorldParts {
  readonly feed: FakeFeed;
  readonly disk: Pick<DeliveryStore, "place" | "write">;
  readonly put: (put: Put) => Promise<Outcome>;
  readonly clock?: ManualClock;
  readonly seed?: number;
  readonly opening?: string;
}

/** A courier with everything around it, as one process has it. */
export function makeCourier({ feed, disk, put, opening = "now", clock = new ManualClock(), seed = 1 }: WorldParts) {
  const log = new Told();
  const counts = { delivered: 0, failed: 0, "ephemeral-dropped": 0 };
  const state = new DeliveryState(TENANT.id, log);
  const commits = new CommitQueue(disk, clock, log);
  const courier = new Courier({
    tenant: () => TENANT,
    state,
    appservice: { put: (txnId, body) => put({ txnId, body }) },
    feed,
    store: disk,
    opening,
    commits,
    clock,
    random: seededRandom(seed),
    log,
    count: (what, by) => (counts[what] += by),
  });
  return { courier, commits, state, log, counts, clock };
}

/** Lets everybody do what there is to do, without time going by. */
export async function calm(): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) await settle();
}
