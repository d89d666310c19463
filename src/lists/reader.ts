import type { RoomStates } from "../ledger/loading/homeserver-states.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { SharedJournal } from "../ledger/shared-journal.ts";
import { sentenceOf } from "../model/errors.ts";
import type { RoomId } from "../model/ids.ts";
import { Signal } from "../concurrency/signal.ts";
import { workUntil } from "../concurrency/worker.ts";
import { concernsRules, ruleIn } from "../policy/policy-list.ts";
import type { PolicyRule } from "../policy/rule.ts";
import {
  Subscriptions,
  type Followed,
  type ListName,
  type MovedList,
  type SubscriptionParts,
} from "./subscriptions.ts";

export interface PolicyListsParts extends SubscriptionParts {
  readonly lists: readonly ListName[];
  readonly states: RoomStates;
  readonly journal: Pick<SharedJournal, "read" | "bounds">;
  readonly recorder: Pick<Recorder, "committed" | "ownChanged">;
}

/** Rules commonly change several at a time: after the first event, the reader waits this long, milliseconds. */
const PAUSE_MS = 2_000;
/** Shortest and longest delay between reads of a list. Reading takes at most a tenth of the time. */
const READ_AGAIN_MS = { atMost: 10_000, timesAsLong: 10, atLeast: 60 * 60_000 } as const;
/** Delay after a failed read, doubled each time. */
const RETRY_MS = { first: 30_000, longest: 60 * 60_000 } as const;
const AT_ONCE = 2;
const JOURNAL_BATCH = 500;
const LONGEST_SLEEP_MS = 30_000;

/** A list's state, for the operator. */
export interface ListStatus {
  readonly room: RoomId;
  /** When it was last read since the start, or null. */
  readonly readAt: number | null;
  /** Failed reads since then. */
  readonly failures: number;
  /** Where the configured alias points now, if it was moved. */
  readonly moved: MovedList | null;
}

interface Reading {
  readAt: number | null;
  dueAt: number;
  /** Earliest next read, however much changes. */
  notBefore: number;
  /** Number of events so far that may have changed the rules. */
  changes: number;
  failures: number;
}

/** Follows policy lists: takes leases in their rooms, and reads their rules when these may have changed. */
export class PolicyLists {
  readonly #parts: PolicyListsParts;
  readonly #subscriptions: Subscriptions;
  readonly #wake = new Signal();
  #names: readonly ListName[];
  #followed: Followed = new Map();
  readonly #readings = new Map<RoomId, Reading>();
  readonly #running = new Map<RoomId, Promise<void>>();
  /** The newest journal entry read; null if none needs to be read. */
  #seq: number | null = null;

  constructor(parts: PolicyListsParts) {
    this.#parts = parts;
    this.#names = parts.lists;
    this.#subscriptions = new Subscriptions(parts);
  }

  /** Runs before anything is judged: removes the rules of dropped lists. The other rules apply as last read. */
  async start(): Promise<void> {
    await this.#subscriptions.removeOthers(this.#names);
  }

  setLists(names: readonly ListName[]): void {
    this.#names = names;
    this.#subscriptions.hurry();
    this.#wake.notify();
  }

  /** Returns the state of the lists whose rooms are known. */
  statuses(): readonly ListStatus[] {
    return [...this.#readings].map(([room, { readAt, failures }]) => ({
      room,
      readAt,
      failures,
      moved: this.#subscriptions.movedFrom(room),
    }));
  }

  async run(abort: AbortSignal): Promise<void> {
    const { recorder, clock, log } = this.#parts;
    const isIdle = (): boolean => this.#names.length === 0;
    const wake = this.#wake;
    await workUntil(abort, {
      round: async () => {
        await this.#round(abort);
        return isIdle() ? null : Math.min(LONGEST_SLEEP_MS, this.#untilDue());
      },
      // Without lists, no event is of interest.
      get signals() {
        return isIdle() ? [wake] : [wake, recorder.committed, recorder.ownChanged];
      },
      pause: () => PAUSE_MS,
      failed: (error) => log.error("policy-list.round-failed", { error }),
      failedRest: LONGEST_SLEEP_MS,
      clock,
    });
    await Promise.all(this.#running.values());
  }

  async #round(abort: AbortSignal): Promise<void> {
    const { ledger, clock } = this.#parts;
    const names = this.#names;
    this.#seq = names.length === 0 ? null : (this.#seq ?? (await this.#parts.journal.bounds()).last);
    this.#followed = await this.#subscriptions.settle(names);
    for (const room of this.#readings.keys()) if (!this.#followed.has(room)) this.#readings.delete(room);
    for (const room of this.#followed.keys()) {
      const reading = this.#readings.get(room) ?? { readAt: null, dueAt: 0, notBefore: 0, changes: 0, failures: 0 };
      this.#readings.set(room, reading);
    }
    await this.#noteChanges();
    for (const [room, reading] of this.#readings) {
      if (this.#running.size >= AT_ONCE) return;
      if (reading.dueAt > clock.now() || this.#running.has(room)) continue;
      if ((await ledger.room(room))?.ownMembership === "join") this.#begin(room, reading, abort);
    }
  }

  /** Reads new journal entries for events that may change a list. */
  async #noteChanges(): Promise<void> {
    const { journal } = this.#parts;
    while (this.#seq !== null) {
      const entries = await journal.read(this.#seq, JOURNAL_BATCH);
      for (const { seq, event } of entries) {
        this.#seq = seq;
        const reading = concernsRules(event.type) ? this.#readings.get(event.room_id) : undefined;
        if (reading === undefined) continue;
        reading.changes += 1;
        reading.dueAt = Math.min(reading.dueAt, reading.notBefore);
      }
      if (entries.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #begin(room: RoomId, reading: Reading, abort: AbortSignal): void {
    const work = this.#read(room, reading, abort)
      .catch((error: unknown) => this.#failed(room, reading, error, abort))
      .finally(() => {
        this.#running.delete(room);
        this.#wake.notify();
      });
    this.#running.set(room, work);
  }

  async #read(room: RoomId, reading: Reading, abort: AbortSignal): Promise<void> {
    const { states, rules, clock, log } = this.#parts;
    const { changes } = reading;
    const begun = clock.now();
    const { rules: found, leftOut } = await readList(states, room, abort);
    // The list may have been dropped in the meantime. Its rules were removed then, and must not come back.
    const replaced = this.#followed.get(room);
    if (replaced === undefined || abort.aborted) return;
    await rules.replaceList(room, found);
    for (const earlier of replaced) if (!this.#followed.has(earlier)) await rules.replaceList(earlier, []);
    log.debug("policy-list.read", { room, rules: found.length });
    const setAside = rules.book.setAside(room);
    if (setAside > 0) log.warn("policy-list.globs-set-aside", { room, rules: found.length, set_aside: setAside });
    if (leftOut > 0) log.warn("policy-list.cut", { room, rules: found.length, left_out: leftOut });
    const now = clock.now();
    const { atMost, timesAsLong, atLeast } = READ_AGAIN_MS;
    reading.readAt = now;
    reading.failures = 0;
    reading.notBefore = now + Math.max(atMost, timesAsLong * (now - begun));
    reading.dueAt = reading.changes === changes ? now + atLeast : reading.notBefore;
  }

  /** The rules stay as last read. */
  #failed(room: RoomId, reading: Reading, error: unknown, abort: AbortSignal): void {
    const { clock, log } = this.#parts;
    if (abort.aborted) return;
    const wait = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** reading.failures);
    reading.failures += 1;
    reading.notBefore = clock.now() + wait;
    reading.dueAt = reading.notBefore;
    const fields = { room, retry_in_ms: wait, cause: sentenceOf(error) };
    if (reading.failures === 1) log.warn("policy-list.unread", fields);
    else log.debug("policy-list.unread", fields);
  }

  #untilDue(): number {
    const now = this.#parts.clock.now();
    const later = [...this.#readings.values()].map(({ dueAt }) => dueAt - now).filter((wait) => wait > 0);
    return Math.min(...later);
  }
}

/** Most rules kept of one list. The largest lists in use have a few thousand. */
export const MAX_LIST_RULES = 100_000;

/**
 * Reads a list's rules from its room's full state. Events with the same rule are merged.
 * @returns also the number of rules beyond `most`, which are not kept
 * @throws EmissaryError if the homeserver does not return the state
 */
export async function readList(
  states: RoomStates,
  room: RoomId,
  abort: AbortSignal,
  most = MAX_LIST_RULES,
): Promise<{ readonly rules: readonly PolicyRule[]; readonly leftOut: number }> {
  const rules = new Map<string, PolicyRule>();
  let leftOut = 0;
  for await (const part of states.stream(room, abort)) {
    for (const event of part) {
      const rule = ruleIn(event, room);
      const key = rule === null ? null : `${rule.kind}\n${Number(rule.hashed)}\n${rule.entity}`;
      if (rule === null || key === null || rules.has(key)) continue;
      if (rules.size >= most) leftOut += 1;
      else rules.set(key, rule);
    }
  }
  return { rules: [...rules.values()], leftOut };
}
