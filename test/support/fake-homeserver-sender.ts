import { request } from "node:http";
import { stringAt, type JsonObject } from "../../src/model/json.ts";

/** What the appservice answered to one try. */
export interface DeliveryTry {
  readonly txnId: string;
  /** Null where no answer came. */
  readonly status: number | null;
  readonly eventIds: readonly string[];
}

/** Events in one transaction, as Synapse has it. */
const MOST_EVENTS = 100;

/**
 * Sends events to the appservice as Synapse does: in order, one transaction in flight, a transaction that was not answered with
 * 200 again and again with the same ID and the same content. Only its pauses are shorter.
 */
export class TransactionSender {
  /** Where the appservice listens; null while it has no address. */
  url: string | null = null;
  /** Every try so far. */
  readonly tries: DeliveryTry[] = [];
  /** IDs of the events of acknowledged transactions, in order. */
  readonly acknowledged: string[] = [];
  /** Goes into each body beside the events. */
  extra: JsonObject = {};

  readonly #hsToken: string;
  #queue: JsonObject[] = [];
  #current: { readonly txnId: string; readonly body: string; readonly eventIds: string[] } | null = null;
  #nextTxnId = 1;
  #running = false;
  #held = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(hsToken: string) {
    this.#hsToken = hsToken;
  }

  push(event: JsonObject): void {
    this.#queue.push(structuredClone(event));
    this.#start();
  }

  /** Keeps what comes from now on back until `release`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#start();
  }

  /** Synapse on SQLite begins at 1 again whenever it restarts. */
  restartTransactionIds(): void {
    this.#nextTxnId = 1;
  }

  /** True when everything was acknowledged. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#current === null;
  }

  /** Tries again at once, as a ping makes Synapse do. */
  nudge(): void {
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #start(): void {
    if (this.#running || this.#held || this.#closed) return;
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
    });
  }

  async #run(): Promise<void> {
    let failures = 0;
    // What happens in one turn goes out together.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.#closed && !this.#held && !this.isIdle) {
      this.#current ??= this.#next();
      const { txnId, body, eventIds } = this.#current;
      const status = this.url === null ? null : await putTransaction(this.url, txnId, body, this.#hsToken);
      this.tries.push({ txnId, status, eventIds });
      if (status === 200) {
        this.acknowledged.push(...eventIds);
        this.#current = null;
        failures = 0;
      } else {
        failures += 1;
        await this.#pause(Math.min(200, 10 * 2 ** failures));
      }
    }
  }

  #next(): { readonly txnId: string; readonly body: string; readonly eventIds: string[] } {
    const events = this.#queue.splice(0, MOST_EVENTS);
    const txnId = String(this.#nextTxnId);
    this.#nextTxnId += 1;
    return {
      txnId,
      body: JSON.stringify({ events, ...this.extra }),
      eventIds: events.map((event) => stringAt(event, "event_id") ?? ""),
    };
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }
}

function putTransaction(base: string, txnId: string, body: string, token: string): Promise<number | null> {
  return new Promise((resolve) => {
    const outgoing = request(
      `${base}/_matrix/app/v1/transactions/${txnId}`,
      {
        method: "PUT",
        agent: false,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      },
      (answer) => {
        answer.resume();
        answer.once("end", () => resolve(answer.statusCode ?? null));
        answer.once("error", () => resolve(null));
      },
    );
    outgoing.once("error", () => resolve(null));
    outgoing.end(body);
  });
}
