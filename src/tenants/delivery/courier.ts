import { backoff } from "../../concurrency/backoff.ts";
import { Signal } from "../../concurrency/signal.ts";
import { workUntil } from "../../concurrency/worker.ts";
import type { Feed, FeedPiece } from "../feed/feed.ts";
import type { Clock, Random } from "../../model/clock.ts";
import { written, type JsonObject } from "../../model/json.ts";
import type { Logger } from "../../model/logger.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { DeliveryStore, Place } from "../store/deliveries.ts";
import type { Failure } from "./outcome.ts";
import type { AppserviceClient } from "./appservice-client.ts";
import type { DeliveryState } from "./delivery-state.ts";
import { LARGEST, PieceSize, type Transaction } from "./piece.ts";

export type DeliveryCount = "delivered" | "failed" | "ephemeral-dropped";

export interface CourierParts {
  /** The tenant's current row; null once it is removed. */
  readonly tenant: () => Tenant | null;
  readonly state: DeliveryState;
  readonly appservice: Pick<AppserviceClient, "put">;
  readonly feed: Feed;
  readonly store: Pick<DeliveryStore, "place">;
  /** The name of this opening of the database. */
  readonly opening: string;
  readonly commits: Pick<CommitQueue, "soon" | "done" | "idle">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly count: (what: DeliveryCount, by: number) => void;
}

/** Timeouts for the whole answer to a transaction, and to one of ephemeral events, which matter less. */
const TIMEOUT_MS = 60_000;
const EPHEMERAL_TIMEOUT_MS = 10_000;
/** The longest pause after a failure. A tenant that is back should get events soon. */
const LONGEST_PAUSE_MS = 60_000;
const EPHEMERAL_KEPT = 100;
/** Pause between tries while searching for the event at which a tenant fails, milliseconds. */
const SEARCH_PAUSE_MS = 1_000;
/** How long ephemeral events are dropped after the tenant failed to take some, milliseconds. */
const EPHEMERAL_PAUSE_MS = 10_000;

/**
 * Delivers one tenant's events in order, one transaction at a time. Its end is stored before it is sent, so a retry
 * sends the same one, and new events wait for the next. Between tries only numbers are held in memory.
 */
export class Courier {
  readonly #parts: CourierParts;
  readonly #abort = new AbortController();
  readonly #news = new Signal();
  #size = new PieceSize(false);
  #place: Place | null = null;
  #ephemeral: JsonObject[] = [];
  #ephemeralFrom = 0;
  #ephemeralSent = 0;
  readonly #name: string;
  #pause = new AbortController();
  #faults = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: CourierParts) {
    this.#parts = parts;
    this.#name = parts.random.token(6);
  }

  start(): void {
    const { clock, log, tenant } = this.#parts;
    const failed = (error: unknown): void => log.error("tenant.delivery-broken", { tenant: tenant()?.id, error });
    const round = (): Promise<number | null> => this.#round(failed);
    this.#loop = workUntil(this.#abort.signal, { round, signals: [this.#news], failed, clock });
  }

  /** Resolves when nothing is under way. The next courier sends unanswered transactions again. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    this.#clear();
  }

  stir(): void {
    this.#news.notify();
  }

  /** Ends the pause: the tenant is reachable again. */
  hurry(): void {
    this.#pause.abort();
  }

  /** Offers an ephemeral event, which is delivered soon or never. */
  offer(event: JsonObject): void {
    const { state, clock } = this.#parts;
    if (state.tries > 0 || clock.now() < this.#ephemeralFrom) {
      this.#dropped(1);
      return;
    }
    this.#ephemeral.push(event);
    if (this.#ephemeral.length > EPHEMERAL_KEPT) {
      this.#ephemeral.shift();
      this.#dropped(1);
    }
    this.#news.notify();
  }

  /** Takes a step, and pauses after a failure: news do not end this pause, `hurry` does. */
  async #round(failed: (error: unknown) => void): Promise<number | null> {
    const { clock, random } = this.#parts;
    const abort = this.#abort.signal;
    try {
      const wait = await this.#step();
      this.#faults = 0;
      if (wait === null) return null;
      this.#pause = new AbortController();
      if (wait > 0) await clock.sleep(wait, AbortSignal.any([abort, this.#pause.signal]));
    } catch (error) {
      failed(error);
      this.#faults += 1;
      await clock.sleep(backoff(this.#faults, random, 1_000, LONGEST_PAUSE_MS), abort);
    }
    return 0;
  }

  /** Takes the next step and returns how long to wait then; null for news. Events are not held during the wait. */
  async #step(): Promise<number | null> {
    const { tenant: current, store, state, feed, commits } = this.#parts;
    const tenant = current();
    if (tenant === null) return null;
    if (this.#place === null) {
      this.#place = await store.place(tenant.id);
      this.#size = new PieceSize(this.#place?.pendingTo != null);
    }
    const place = this.#place;
    if (place === null) throw new Error(`there is no cursor of the tenant ${tenant.id}`);
    state.cursor = place.cursor;
    const limits = this.#size.limits(tenant.maxTransaction);
    const { events, upTo, isMore } =
      place.pendingTo === null
        ? await feed.read(tenant, place.cursor, limits)
        : await this.#again(tenant, place.cursor, place.pendingTo);
    // A transaction begun before a restart keeps the opening in which it began.
    const opening = place.pendingTo === null ? this.#parts.opening : place.opening;
    const cut = this.#size.cut({ ...place, opening }, events, tenant.maxTransaction);
    const last = cut.events.at(-1);
    if (cut.made !== null && last !== undefined) {
      const pendingTo = cut.events.length < events.length ? last.seq : upTo;
      const begun = { ...place, pendingTo, opening };
      if (pendingTo !== place.pendingTo) await commits.soon({ tenant: tenant.id, ...begun });
      this.#place = begun;
      return this.#deliver(tenant, begun, cut.events, cut.made);
    }
    if (place.pendingTo !== null) return this.#passed(tenant, place);
    if (upTo > place.cursor) {
      this.#place = { ...place, cursor: upTo };
      commits.idle({ tenant: tenant.id, ...this.#place });
      state.cursor = upTo;
    }
    if (isMore) return 0;
    return this.#ephemeral.length > 0 && (await this.#deliverEphemeral()) ? 0 : null;
  }

  /** Reads the events of a transaction that was begun: all up to its end, whatever the limits are now. */
  async #again(tenant: Tenant, cursor: number, pendingTo: number): Promise<FeedPiece> {
    const events: FeedPiece["events"][number][] = [];
    let at = cursor;
    while (at < pendingTo) {
      const piece = await this.#parts.feed.read(tenant, at, LARGEST, pendingTo);
      events.push(...piece.events);
      // The journal ends before it only if the journal was lost.
      if (piece.upTo <= at) break;
      at = piece.upTo;
    }
    return { events, upTo: pendingTo, isMore: false };
  }

  async #deliver(
    tenant: Tenant,
    place: Place,
    events: FeedPiece["events"],
    { txnId, body, first }: Transaction,
  ): Promise<number> {
    const { appservice, state, clock, count } = this.#parts;
    const abort = this.#abort.signal;
    state.underWay = first;
    const outcome = await appservice.put(txnId, body, TIMEOUT_MS, abort);
    if (outcome.kind === "not-taken") return abort.aborted ? 0 : this.#failed(outcome, events, body);
    this.#size.taken();
    count("delivered", 1);
    state.succeeded(clock.now());
    return this.#passed(tenant, place);
  }

  /** Moves the cursor to the end of the transaction that was begun. */
  #passed({ id }: Tenant, place: Place): number {
    const { state, commits } = this.#parts;
    state.underWay = null;
    this.#place = { ...place, cursor: place.pendingTo ?? place.cursor, pendingTo: null };
    state.cursor = this.#place.cursor;
    commits.done({ tenant: id, ...this.#place });
    return 0;
  }

  #failed(outcome: Failure, events: FeedPiece["events"], body: string): number {
    const { state, clock, random, count } = this.#parts;
    const bytes = Buffer.byteLength(body);
    const next = this.#size.failed(outcome, events.length, bytes);
    state.tries += 1;
    count("failed", 1);
    this.#clear();
    const wait = next === "smaller" ? SEARCH_PAUSE_MS : backoff(state.tries, random, 1_000, LONGEST_PAUSE_MS);
    state.failed(outcome, clock.now(), wait);
    const [one] = events;
    if (next === "stuck" && one !== undefined) {
      const { event_id: eventId, room_id: roomId, type } = one.event;
      state.stops({ seq: one.seq, eventId, roomId, type, bytes, since: clock.now() }, outcome.sentence);
    }
    return wait;
  }

  /** Sends the waiting ephemeral events once, in a transaction of their own. Returns whether the tenant took it. */
  async #deliverEphemeral(): Promise<boolean> {
    const { appservice, clock } = this.#parts;
    const events = this.#ephemeral;
    this.#ephemeral = [];
    this.#ephemeralSent += 1;
    const txnId = `e.${this.#name}-${this.#ephemeralSent}`;
    // Under the stable name (spec v1.13), and the one that today's SDKs read (MSC2409).
    const body = written({ events: [], ephemeral: events, "de.sorunome.msc2409.ephemeral": events });
    const outcome = await appservice.put(txnId, body, EPHEMERAL_TIMEOUT_MS, this.#abort.signal);
    if (outcome.kind === "taken") return true;
    this.#dropped(events.length);
    this.#clear();
    this.#ephemeralFrom = clock.now() + EPHEMERAL_PAUSE_MS;
    return false;
  }

  #clear(): void {
    this.#dropped(this.#ephemeral.length);
    this.#ephemeral = [];
  }

  #dropped(count: number): void {
    if (count > 0) this.#parts.count("ephemeral-dropped", count);
  }
}
