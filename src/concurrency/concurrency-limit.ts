import type { Clock } from "../model/clock.ts";
import type { RoomId } from "../model/ids.ts";

/** A step that has waited on the homeserver for so long takes no place from others. */
export const SLOW_AFTER_MS = 5_000;
/** So many of these are under way; where another becomes slow, one has to give up. */
export const MOST_SLOW = 16;

/** What is being done in one room. */
export class Task {
  /** The server by which the move goes; a silent one holds up all that go by it. */
  server = "";
  isSlow: boolean;
  readonly isAside: boolean;
  readonly #clock: Clock;
  readonly #slow: (task: Task) => void;
  readonly #givingUp = new AbortController();
  #timer = new AbortController();

  constructor(clock: Clock, isAside: boolean, slow: (task: Task) => void) {
    this.#clock = clock;
    this.isAside = isAside;
    this.isSlow = isAside;
    this.#slow = slow;
  }

  /** Aborts when it is to end, to be tried again later. */
  get givesUp(): AbortSignal {
    return this.#givingUp.signal;
  }

  /** From here on it waits on others. */
  waits(): void {
    this.#timer.abort();
    const timer = new AbortController();
    this.#timer = timer;
    void this.#clock.sleep(SLOW_AFTER_MS, timer.signal).then(() => {
      if (!timer.signal.aborted) this.slowDown();
    });
  }

  /** From here on it waits on nobody but us. */
  rests(): void {
    this.#timer.abort();
  }

  slowDown(): void {
    this.#timer.abort();
    if (!this.isSlow) this.#slow(this);
  }

  giveUp(): void {
    this.#givingUp.abort();
  }
}

/**
 * The rooms in which something is being done, at most one thing in each. A server that does not answer keeps a join waiting for
 * minutes: such ones are counted apart, so that no number of them keeps the others from their task.
 */
export class ConcurrencyLimit {
  readonly #clock: Clock;
  readonly #freed: () => void;
  readonly #tasks = new Map<RoomId, { readonly task: Task; readonly over: Promise<void> }>();

  /** @param freed called when a place may have become free */
  constructor(clock: Clock, freed: () => void) {
    this.#clock = clock;
    this.#freed = freed;
  }

  get rooms(): ReadonlySet<RoomId> {
    return new Set(this.#tasks.keys());
  }

  /** How many count against the number that may be under way at once. */
  get counted(): number {
    return this.#all().filter(({ isSlow }) => !isSlow).length;
  }

  /** Does something in a room in which nothing is being done. What is done `aside` takes no place, and does not give up. */
  async run<T>(roomId: RoomId, work: (task: Task) => Promise<T>, isAside = false): Promise<T> {
    const task = new Task(this.#clock, isAside, (slow) => this.#slowDown(slow));
    if (!isAside) task.waits();
    const begun = Promise.resolve().then(() => work(task));
    const done = begun.finally(() => {
      task.rests();
      this.#tasks.delete(roomId);
      this.#freed();
    });
    this.#tasks.set(roomId, {
      task,
      over: done.then(
        () => undefined,
        () => undefined,
      ),
    });
    return done;
  }

  /** Resolves when nothing is being done in the room. */
  async free(roomId: RoomId): Promise<void> {
    for (let busy = this.#tasks.get(roomId); busy !== undefined; busy = this.#tasks.get(roomId)) await busy.over;
  }

  /** Resolves when all that is being done has ended. */
  async empty(): Promise<void> {
    await Promise.all([...this.#tasks.values()].map(({ over }) => over));
  }

  #slowDown(task: Task): void {
    task.isSlow = true;
    const slow = this.#all().filter(({ isSlow, isAside, givesUp }) => isSlow && !isAside && !givesUp.aborted);
    if (slow.length > MOST_SLOW) oldestOfMost(slow)?.giveUp();
    this.#freed();
  }

  #all(): readonly Task[] {
    return [...this.#tasks.values()].map(({ task }) => task);
  }
}

/** The one that gives up is of the server by which most of them go, so that a server stands in the way of its own rooms first. */
function oldestOfMost(slow: readonly Task[]): Task | null {
  const groups = [...Map.groupBy(slow, ({ server }) => server).values()];
  const [most] = groups.sort((one, other) => other.length - one.length);
  return most?.[0] ?? null;
}
