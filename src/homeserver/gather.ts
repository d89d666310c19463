import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { EmissaryError } from "../model/errors.ts";
import type { WholeAnswer } from "../http/upstream.ts";
import { tooLarge, unreachable } from "./client.ts";

/**
 * Requests a small answer. Takes its bytes as they arrive: the stream of undici's `request` would double the cost.
 * @throws EmissaryError `homeserver-unreachable` if no answer came or it broke off, `homeserver-error` if too large
 */
export function gathered(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  limit: number,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(options, new Gatherer(limit, resolve, reject));
  });
}

class Gatherer implements Dispatcher.DispatchHandler {
  readonly #limit: number;
  readonly #resolve: (answer: WholeAnswer) => void;
  readonly #reject: (error: EmissaryError) => void;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #status = 0;
  #headers: IncomingHttpHeaders = {};

  constructor(limit: number, resolve: (answer: WholeAnswer) => void, reject: (error: EmissaryError) => void) {
    this.#limit = limit;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(): void {}

  /** Called for interim responses such as 103, too; the last call is for the answer. */
  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.#limit) controller.abort(tooLarge(this.#limit));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const body = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#size);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(error instanceof EmissaryError ? error : unreachable(error));
  }
}
