/** What people in Matrix and on IRC saw in one run of a scenario, and the waiting for it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Names } from "./names.ts";
import type { Seat } from "./seat.ts";

/** Who saw it and where, such as "alice in lounge"; the lines are in the order in which they were seen. */
export type Record = Readonly<{ [place: string]: readonly string[] }>;

const WAIT_MS = 20_000;
const POLL_MS = 30;
const QUIET_MS = 400;

/** Somebody who sees things outside Matrix. */
export interface Onlooker {
  readonly name: string;
  readonly seen: readonly string[];
}

export class Recorder {
  readonly #names: Names;
  readonly #seats: Seat[] = [];
  readonly #onlookers: Onlooker[] = [];
  readonly #notes: string[] = [];
  /** How far each place was read by `see`. */
  readonly #read = new Map<string, number>();
  /** Whether something that does not come is a line of the record, and not an error. */
  readonly #goesOn: boolean;

  constructor(names: Names, options: { readonly goesOn: boolean }) {
    this.#names = names;
    this.#goesOn = options.goesOn;
  }

  add(who: Seat | Onlooker): void {
    if ("sitDown" in who) this.#seats.push(who);
    else this.#onlookers.push(who);
  }

  /**
   * One thing that people do. Where it does not come about, the rest of it is left out, and the record says so: that the run with
   * Synapse comes through is the test's own matter, and of the other run every difference is to be told.
   */
  async step(name: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#goesOn) throw new Error(`${name}: ${message}`, { cause: error });
      this.#notes.push(`${name}: ${this.#names.text(message).split("\n", 1)[0] ?? ""}`);
    }
  }

  /** Waits for a line of a place that comes after the last one that was waited for there. */
  async see(place: string, wanted: RegExp, waitMs = WAIT_MS): Promise<string> {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const lines = this.#places().get(place) ?? [];
      const from = this.#read.get(place) ?? 0;
      const found = lines.findIndex((line, index) => index >= from && wanted.test(line));
      if (found !== -1) {
        this.#read.set(place, found + 1);
        return lines[found] ?? "";
      }
      if (Date.now() > deadline) {
        const last = lines.slice(-8).join("\n  ");
        throw new Error(`${place} never saw ${String(wanted)}\n  ${last}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** What was seen up to here is waited for no more. */
  catchUp(place: string): void {
    this.#read.set(place, this.#places().get(place)?.length ?? 0);
  }

  /** Until nobody has seen anything for a moment. */
  async quiet(): Promise<void> {
    let [before, since] = [-1, Date.now()];
    while (Date.now() - since < QUIET_MS) {
      const now = this.#count();
      if (now !== before) [before, since] = [now, Date.now()];
      await sleep(POLL_MS);
    }
  }

  record(): Record {
    const places = Object.fromEntries(this.#places());
    return { ...places, ...(this.#notes.length === 0 ? {} : { "what did not come about": this.#notes }) };
  }

  #count(): number {
    const all = [...this.#seats.map(({ count }) => count), ...this.#onlookers.map(({ seen }) => seen.length)];
    return all.reduce((sum, one) => sum + one, 0);
  }

  #places(): Map<string, readonly string[]> {
    const places = new Map<string, readonly string[]>();
    for (const seat of this.#seats) {
      for (const [room, lines] of seat.lines()) places.set(`${seat.name} in ${room}`, lines);
    }
    for (const { name, seen } of this.#onlookers) {
      places.set(
        name,
        seen.map((line) => this.#names.text(line)),
      );
    }
    return places;
  }
}
