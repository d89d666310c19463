import { Pool, type Dispatcher } from "undici";

/** What a burst of writes came to. */
export interface Burst {
  readonly writes: number;
  readonly perSecond: number;
  /** Of a single write, milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const CONTENT = Buffer.from(
  JSON.stringify({
    msgtype: "m.text",
    body: "A message so long that it looks like what people write to each other in a room.",
    "m.mentions": {},
  }),
);

/** Sends messages into a room as a tenant's software does, over connections that are kept. */
export class Writer {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #headers: Record<string, string>;
  #sent = 0;

  constructor(port: number, roomId: string, token: string) {
    this.#pool = new Pool(`http://127.0.0.1:${port}`, { connections: 64 });
    this.#path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/`;
    this.#headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  }

  /** Writes for so long, with so many writes under way at every moment. */
  async burst(concurrency: number, ms: number): Promise<Burst> {
    const times: number[] = [];
    const begun = performance.now();
    const end = begun + ms;
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (let now = performance.now(); now < end;) {
          await this.one();
          const then = performance.now();
          times.push(then - now);
          now = then;
        }
      }),
    );
    const seconds = (performance.now() - begun) / 1_000;
    times.sort((a, b) => a - b);
    return {
      writes: times.length,
      perSecond: times.length / seconds,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
    };
  }

  /** One write; resolves when its answer is there as a whole. */
  one(): Promise<void> {
    this.#sent += 1;
    const path = `${this.#path}t${this.#sent}`;
    return new Promise((resolve, reject) => {
      this.#pool.dispatch(
        { method: "PUT", path, headers: this.#headers, body: CONTENT },
        new Answered(resolve, reject),
      );
    });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Waits for an answer of 200, and keeps nothing of it. */
class Answered implements Dispatcher.DispatchHandler {
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #status = 0;

  constructor(resolve: () => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    if (this.#status === 200) this.#resolve();
    else this.#reject(new Error(`a write was answered ${this.#status}`));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(error);
  }
}

/** Of values in their order. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
