import { Pool, type Dispatcher } from "undici";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import { parsedObject, stringAt, type JsonObject, type JsonValue } from "../model/json.ts";
import type { Hold } from "../concurrency/bytes-held.ts";
import type { UserId } from "../model/ids.ts";

/** Bounds answers to our own small calls, so that no homeserver (or program in its place) can fill our memory. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: JsonValue;
  readonly abort?: AbortSignal;
  /** Longest time without a byte of the answer, in milliseconds. */
  readonly timeout?: number;
  /** False for the few calls that the appservice makes as itself. */
  readonly asPseudouser?: boolean;
  /** Another user of our namespace to act as, instead of the pseudouser. */
  readonly as?: UserId;
  readonly token?: string;
}

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly errcode: string | null;
  readonly error: string | null;
  /** In milliseconds, from the body or the Retry-After header (spec, "Rate limiting"). */
  readonly retryAfter: number | null;
}

/** Most connections for each purpose. Those of tenants and users never wait here: the gateway limits the requests. */
const CONNECTIONS = {
  /** Joins and leaves, loading, the account, comparing, invites, aliases: each has its own bound. */
  control: 64,
  /** Room summaries and alias look-ups, which wait for other servers. */
  summaries: 128,
  tenants: 2_048,
  users: 8_192,
} as const;
type Purpose = keyof typeof CONNECTIONS;

interface ClientParts {
  readonly url: URL;
  readonly asToken: string;
  readonly own: UserId;
}

/** Calls one homeserver as its appservice: small JSON calls here, streams in upstream.ts. Each purpose has a pool. */
export class HomeserverClient {
  readonly pool: Pool;
  readonly own: UserId;
  readonly authorization: string;
  readonly #base: string;
  readonly #parts: ClientParts;
  readonly #others: Map<Purpose, HomeserverClient>;

  constructor(
    parts: ClientParts,
    connections: number = CONNECTIONS.control,
    others = new Map<Purpose, HomeserverClient>(),
  ) {
    const options = { headersTimeout: 0, bodyTimeout: 60_000, keepAliveTimeout: 30_000 };
    this.pool = new Pool(parts.url.origin, { ...options, connections });
    this.#base = parts.url.pathname.replace(/\/+$/, "");
    this.authorization = `Bearer ${parts.asToken}`;
    this.#parts = parts;
    this.#others = others;
    this.own = parts.own;
  }

  /** Returns a client for the same homeserver that uses another purpose's connections. */
  of(purpose: Exclude<Purpose, "control">): HomeserverClient {
    const client = this.#others.get(purpose) ?? new HomeserverClient(this.#parts, CONNECTIONS[purpose], this.#others);
    this.#others.set(purpose, client);
    return client;
  }

  path(path: string): string {
    return `${this.#base}${path}`;
  }

  /** Returns an answer of any status. @throws EmissaryError `homeserver-unreachable` if no answer came. */
  async call(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<Answer> {
    return answerOf(await this.open(method, path, options));
  }

  async open(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      for (const one of [value].flat()) query.append(name, one);
    }
    if (options.asPseudouser !== false) query.set("user_id", options.as ?? this.own);
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    try {
      return await this.pool.request({
        method,
        path: this.path(query.size > 0 ? `${path}?${query.toString()}` : path),
        headers: {
          authorization: options.token === undefined ? this.authorization : `Bearer ${options.token}`,
          ...(body === null ? {} : { "content-type": "application/json" }),
        },
        body,
        headersTimeout: options.timeout ?? DEFAULT_TIMEOUT_MS,
        ...(options.abort === undefined ? {} : { signal: options.abort }),
      });
    } catch (error) {
      throw unreachable(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this, ...this.#others.values()].map(({ pool }) => pool.destroy()));
  }
}

export function unreachable(error: unknown): EmissaryError {
  return new EmissaryError(
    "homeserver-unreachable",
    `The homeserver gave no answer: ${sentenceOf(error)}. Check homeserver.url and that it runs.`,
    { cause: error },
  );
}

export function tooLarge(limit: number): AnswerTooLarge {
  return new AnswerTooLarge(
    "homeserver-error",
    `The homeserver's answer is larger than the ${limit} bytes such an answer can have.`,
  );
}

/** The answer is too large; asking again would return the same. */
export class AnswerTooLarge extends EmissaryError {}

/** Reads an answer. @throws EmissaryError if it breaks off or exceeds `limit` bytes; what `hold` throws. */
export async function readWhole(response: Dispatcher.ResponseData, limit: number, hold?: Hold): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      await hold?.add(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof EmissaryError ? error : unreachable(error);
  }
  return Buffer.concat(chunks, size);
}

/** Reads an answer whole, up to a bound. An answer that is no JSON object counts as an empty object. */
export async function answerOf(response: Dispatcher.ResponseData): Promise<Answer> {
  const body = parsedObject(await readWhole(response, MAX_ANSWER_BYTES));
  const failed = response.statusCode >= 400;
  return {
    status: response.statusCode,
    body,
    errcode: failed ? stringAt(body, "errcode") : null,
    error: failed ? (stringAt(body, "error") ?? `status ${response.statusCode}`) : null,
    retryAfter: failed ? retryAfterOf(body, response.headers["retry-after"]) : null,
  };
}

function retryAfterOf(body: JsonObject, header: string | string[] | undefined): number | null {
  const inBody = body["retry_after_ms"];
  if (typeof inBody === "number" && inBody >= 0) return Math.min(inBody, 24 * 60 * 60 * 1000);
  const seconds = Number(Array.isArray(header) ? header[0] : header);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 24 * 60 * 60) * 1000 : null;
}
