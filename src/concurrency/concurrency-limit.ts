import type { Clock } from "../model/clock.ts";
import type { RoomId } from "../model/ids.ts";

/** A task that has waited on the homeserver for this long no longer counts against the limit. */
export const SLOW_AFTER_MS = 5_000;
/** Most slow tasks at once. One more, and a slow task must give up. */
export const MOST_SLOW = 16;

/** The work in one room. */
export class Task {
  /** The server that the move goes through. A silent server delays every move through it. */
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

  /** Aborts when the task must end, to be tried again later. */
  get givesUp(): AbortSignal {
    return this.#givingUp.signal;
  }

  /** Starts the timer: from now on the task waits on others. */
  waits(): void {
    this.#timer.abort();
    const timer = new AbortController();
    this.#timer = timer;
    void this.#clock.sleep(SLOW_AFTER_MS, timer.signal).then(() => {
      if (!timer.signal.aborted) this.slowDown();
    });
  }

  /** Stops the timer: from now on the task waits only on Emissary. */
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

/** The rooms with work under way, one task each. Slow tasks are counted apart, so that they do not block the others. */
export class ConcurrencyLimit {
  readonly #clock: Clock;
  readonly #freed: () => void;
  readonly #tasks = new Map<RoomId, { readonly task: Task; readonly over: Promise<unknown> }>();

  /** @param freed called when a place may have become free */
  constructor(clock: Clock, freed: () => void) {
    this.#clock = clock;
    this.#freed = freed;
  }

  get rooms(): ReadonlySet<RoomId> {
    return new Set(this.#tasks.keys());
  }

  /** Number of tasks that count against the limit. */
  get counted(): number {
    return this.#all().filter(({ isSlow }) => !isSlow).length;
  }

  /** Runs a task in a room that has none. A task that runs `aside` does not count, and never has to give up. */
  async run<T>(roomId: RoomId, work: (task: Task) => Promise<T>, isAside = false): Promise<T> {
    const task = new Task(this.#clock, isAside, (slow) => this.#slowDown(slow));
    if (!isAside) task.waits();
    const begun = Promise.resolve().then(() => work(task));
    const done = begun.finally(() => {
      task.rests();
      this.#tasks.delete(roomId);
      this.#freed();
    });
    this.#tasks.set(roomId, { task, over: Promise.allSettled([done]) });
    return done;
  }

  /** Resolves when the room has no task. */
  async free(roomId: RoomId): Promise<void> {
    for (let busy = this.#tasks.get(roomId); busy !== undefined; busy = this.#tasks.get(roomId)) await busy.over;
  }

  /** Resolves when all present tasks have ended. */
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

/** Returns the oldest slow task of the server that has the most. So a server blocks its own rooms first. */
function oldestOfMost(slow: readonly Task[]): Task | null {
  const groups = [...Map.groupBy(slow, ({ server }) => server).values()];
  const [most] = groups.sort((one, other) => other.length - one.length);
  return most?.[0] ?? null;
}
