import type { Clock, Random } from "../../model/clock.ts";
import { sentenceOf } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import { Signal } from "../../concurrency/signal.ts";
import { restUntil, workUntil } from "../../concurrency/worker.ts";
import { foldEvent } from "../fold.ts";
import type { LoadStore } from "../store/loads.ts";
import { backoff } from "../../concurrency/backoff.ts";
import type { RoomStates } from "./homeserver-states.ts";
import { NO_POWER, powerWith, type RoomPower } from "./power.ts";

export interface LoaderParts {
  readonly loads: Pick<LoadStore, keyof LoadStore>;
  readonly states: RoomStates;
  /** Called once per stay, when the room is loaded. */
  readonly entered: (roomId: RoomId, power: RoomPower, abort: AbortSignal) => Promise<void>;
  readonly own: UserId;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called with the number of rows that a repeated load repaired. */
  readonly repaired: (differences: number) => void;
  /** Fires when a room was loaded. */
  readonly loaded: Signal;
  /** Fires when a room may need a load, and when a load found a difference. */
  readonly wake: Signal;
}

/** Rooms loaded at once: each is hard work for the homeserver, and its answer may be hundreds of megabytes. */
const AT_ONCE = 2;
const DROP_BATCH = 500;
const LARGE_PART = 100;
const BREATH_MS = 2;
const LONGEST_SLEEP_MS = 5_000;

/**
 * Loads state and members of entered rooms in the background, and drops those of rooms that the pseudouser left.
 * Storage holds the requests, so an interrupted load begins again.
 */
export class RoomLoader {
  readonly #parts: LoaderParts;
  readonly #abort = new AbortController();
  readonly #running = new Map<RoomId, Promise<void>>();
  readonly #freed = new Signal();
  readonly #failures = new Map<RoomId, number>();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  start(): void {
    const { wake, clock, log } = this.#parts;
    this.#loop = workUntil(this.#abort.signal, {
      round: () => this.#round(),
      signals: [wake, this.#freed],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("loader.round-failed", { error }),
      clock,
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  async #round(): Promise<number | null> {
    const { loads, clock } = this.#parts;
    const due = await loads.due(clock.now(), AT_ONCE + this.#running.size);
    for (const { roomId, drop } of due) {
      if (this.#running.size < AT_ONCE && !this.#running.has(roomId)) this.#begin(roomId, drop);
    }
    return this.#running.size > 0 ? null : restUntil(await loads.nextDue(), clock);
  }

  #begin(roomId: RoomId, drop: boolean): void {
    const work = (drop ? this.#drop(roomId) : this.#load(roomId))
      .then(() => void this.#failures.delete(roomId))
      .catch((error: unknown) => this.#failed(roomId, error))
      .finally(() => {
        this.#running.delete(roomId);
        this.#freed.notify();
      });
    this.#running.set(roomId, work);
  }

  async #load(roomId: RoomId): Promise<void> {
    const { loads, states, entered, own, clock, log } = this.#parts;
    const ticket = await loads.begin(roomId);
    let events = 0;
    let differences = 0;
    let power = NO_POWER;
    for await (const part of states.stream(roomId, this.#abort.signal)) {
      events += part.length;
      power = powerWith(power, part);
      const changes = part.flatMap((event) => foldEvent(event, own));
      differences += await loads.part(ticket, changes, clock.now());
      // Parts of a large room follow each other at once. Without a pause nobody else would have a turn.
      if (part.length >= LARGE_PART) await clock.sleep(BREATH_MS, this.#abort.signal);
    }
    differences += await loads.finish(ticket, clock.now());
    if (ticket.again && differences > 0) {
      log.warn("room.repaired", { room: roomId, differences });
      this.#parts.repaired(differences);
    }
    // The differences may have put us out, or ended leases: waiters must look again.
    if (differences > 0) this.#parts.wake.notify();
    this.#parts.loaded.notify();
    log.debug("room.loaded", { room: roomId, events });
    if (!ticket.again) await entered(roomId, power, this.#abort.signal);
  }

  async #drop(roomId: RoomId): Promise<void> {
    const { loads, clock } = this.#parts;
    while (!this.#abort.signal.aborted) {
      if (await loads.drop(roomId, DROP_BATCH)) return;
      await clock.sleep(1, this.#abort.signal);
    }
  }

  async #failed(roomId: RoomId, error: unknown): Promise<void> {
    const { loads, clock, random, log } = this.#parts;
    if (this.#abort.signal.aborted) return;
    const tries = (this.#failures.get(roomId) ?? 0) + 1;
    this.#failures.set(roomId, tries);
    const wait = backoff(tries, random);
    log.warn("room.load-failed", { room: roomId, tries, retry_in_ms: wait, cause: sentenceOf(error) });
    await loads.postpone(roomId, clock.now() + wait);
  }
}
