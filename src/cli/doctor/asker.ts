import type { IncomingHttpHeaders } from "node:http";
import { Agent, request, type Dispatcher } from "undici";
import type { Clock } from "../../model/clock.ts";
import { sentenceOf } from "../../model/errors.ts";
import { parsedObject, stringAt, type JsonObject } from "../../model/json.ts";

const TIMEOUT_MS = 15_000;
/** Most bytes of an answer that are read: the rest of a proxy's HTML page says nothing more. */
const MOST_BYTES = 256 * 1024;
export const AT_ONCE = 6;

export interface Heard {
  readonly heard: true;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: JsonObject;
  readonly errcode: string | null;
  readonly error: string | null;
  /** Milliseconds by which the other clock is ahead of ours; null if the answer has no time. */
  readonly ahead: number | null;
}

/** Any answer, or why there is none, as a clause. */
export type Reply = Heard | { readonly heard: false; readonly why: string; readonly isTls: boolean };

export interface Question {
  readonly token?: string;
  readonly body?: unknown;
  /** In milliseconds. */
  readonly timeout?: number;
}

/** Makes requests for the checks. Failures are findings, never exceptions. */
export class Asker {
  readonly #agent = new Agent({ connections: AT_ONCE });
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async ask(method: Dispatcher.HttpMethod, url: string, question: Question = {}): Promise<Reply> {
    const { token, body, timeout = TIMEOUT_MS } = question;
    const sent = this.#clock.now();
    try {
      const answer = await request(url, {
        method,
        dispatcher: this.#agent,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeout,
        bodyTimeout: timeout,
      });
      const { statusCode: status, headers } = answer;
      const ahead = aheadOf(headers["date"], (sent + this.#clock.now()) / 2);
      const text = parsedObject(await beginningOf(answer.body));
      const failed = status >= 400;
      return {
        heard: true,
        status,
        headers,
        body: text,
        errcode: failed ? stringAt(text, "errcode") : null,
        error: failed ? (stringAt(text, "error") ?? `status ${status}`) : null,
        ahead,
      };
    } catch (error) {
      return { heard: false, why: silence(error), isTls: isTlsFault(error) };
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

async function beginningOf(body: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @param at when the answer was under way, by our clock */
function aheadOf(date: string | string[] | undefined, at: number): number | null {
  const told = Date.parse(String(date));
  // The header has whole seconds only: on average half a second has passed.
  return Number.isNaN(told) ? null : told + 500 - at;
}

const SILENCES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no machine of that name",
  EAI_AGAIN: "the name cannot be looked up",
  EHOSTUNREACH: "there is no way to that machine",
  ENETUNREACH: "there is no way to that network",
  ECONNRESET: "the connection was cut off",
  UND_ERR_SOCKET: "the connection was cut off",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "an answer that stopped half-way",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: http:// in place of https:// may be right",
};

/** Returns why no answer came, as a clause. The innermost cause says it best; its wrappers only say that it failed. */
function silence(error: unknown): string {
  if (!(error instanceof Error)) return sentenceOf(error);
  const code = "code" in error ? String(error.code) : "";
  if (SILENCES[code] !== undefined) return SILENCES[code];
  if (error.cause instanceof Error) return silence(error.cause);
  return error.message === "" ? code : error.message;
}

/** Node names faults of certificates with OpenSSL's codes. */
function isTlsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_SSL|ERR_TLS|EPROTO/.test(code) || isTlsFault(error.cause);
}
