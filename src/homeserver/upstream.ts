import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Dispatcher } from "undici";
import { tokenOf } from "../http/bearer.ts";
import type { BytesHeld, Hold } from "../concurrency/bytes-held.ts";
import { askerOf, goneOf } from "../http/callers.ts";
import type { OpenAnswer, Revision, Rewriting, Upstream, UpstreamRequest, WholeAnswer } from "../http/upstream.ts";
import { readWhole, tooLarge, unreachable, type HomeserverClient } from "./client.ts";
import { isUnknownDevice, type PseudouserDevice } from "./device.ts";
import { EntryRewriter, rewrittenPieces } from "./entries.ts";
import { gathered } from "./gather.ts";
import { screened } from "./screened.ts";
import { OVER } from "../concurrency/over.ts";

/** Headers of one connection, not of the message (RFC 9110, 7.6.1), and `host`, which names us. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "expect",
]);

/** Longest wait for a long poll's answer to begin, and longest pause within it, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5 * 60_000;
const MAX_WHOLE_ANSWER_BYTES = 1024 * 1024;
/** A list whose entries are changed must begin within this many bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

export class HomeserverUpstream implements Upstream {
  readonly #client: HomeserverClient;
  readonly #held: BytesHeld;
  readonly #unknown: (token: string) => void;
  readonly #device: Pick<PseudouserDevice, "query" | "make"> | null;

  /**
   * @param held memory budget for answers that are held whole
   * @param more `unknown` is called with tokens that the homeserver does not know; `device` is the pseudouser's
   */
  constructor(
    client: HomeserverClient,
    held: BytesHeld,
    more: {
      readonly unknown?: (token: string) => void;
      readonly device?: Pick<PseudouserDevice, "query" | "make">;
    } = {},
  ) {
    this.#client = client;
    this.#held = held;
    this.#unknown = more.unknown ?? (() => undefined);
    this.#device = more.device ?? null;
  }

  async asPseudouser(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply> {
    return pass(await this.#open(...this.#ours(request), reply), reply);
  }

  async revised(request: UpstreamRequest, reply: FastifyReply, revision: Revision): Promise<FastifyReply> {
    const [ours, headers] = this.#ours(request);
    // Homeservers show an event's transaction ID only to the device that sent the event.
    const open = (): Promise<Dispatcher.ResponseData> =>
      this.#open({ ...ours, path: this.#asDevice(ours.path) }, readable(headers), reply);
    const response = await open();
    if (response.statusCode !== 400) return this.#passRevised(response, reply, revision);
    const refusal = await wholeAnswer(response, MAX_WHOLE_ANSWER_BYTES);
    if (this.#device === null || !isUnknownDevice(refusal.status, refusal.body)) {
      return reply.code(refusal.status).headers(refusal.headers).send(refusal.body);
    }
    await this.#device.make();
    return this.#passRevised(await open(), reply, revision);
  }

  async rewritten(request: UpstreamRequest, reply: FastifyReply, rewriting: Rewriting): Promise<FastifyReply> {
    const [ours, headers] = this.#ours(request);
    const response = await this.#open(ours, readable(headers), reply);
    if (response.statusCode !== 200) return pass(response, reply);
    const rewriter = new EntryRewriter(rewriting);
    const pieces = (response.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    const head: Buffer[] = [];
    let size = 0;
    // Send the status only once the list is found.
    while (!rewriter.isFound && size < MAX_HEAD_BYTES) {
      const next = await pieces.next().catch((error: unknown) => {
        throw unreachable(error);
      });
      if (next.done === true) break;
      size += next.value.length;
      head.push(rewriter.push(next.value));
    }
    if (!rewriter.isFound && rewriting.unreadable !== null) {
      response.body.on("error", () => undefined).destroy();
      throw rewriting.unreadable();
    }
    const headers200 = passedOn(response.headers);
    delete headers200["content-length"];
    const body = Readable.from(rewrittenPieces(rewriter, Buffer.concat(head), pieces), { objectMode: false });
    return reply.code(200).headers(headers200).send(body);
  }

  async asCaller(request: UpstreamRequest, reply: FastifyReply, revision?: Revision): Promise<FastifyReply> {
    const headers = passedOn(request.headers);
    if (revision === undefined) return pass(await this.#open(request, headers, reply), reply);
    return this.#passRevised(await this.#open(request, readable(headers), reply), reply, revision);
  }

  async asCallerUntil(
    abort: AbortSignal,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<boolean> {
    if (abort.aborted) return false;
    const headers = passedOn(request.headers);
    // An answer that has begun must not break off, so it has its own signal.
    const takenBack = new AbortController();
    const takeBack = (): void => takenBack.abort(OVER);
    abort.addEventListener("abort", takeBack, { once: true });
    try {
      const asked = revision === undefined ? headers : readable(headers);
      const response = await this.#open(request, asked, reply, takenBack.signal);
      if (takenBack.signal.aborted) {
        response.body.on("error", () => undefined).destroy();
        return false;
      }
      abort.removeEventListener("abort", takeBack);
      if (revision === undefined) pass(response, reply);
      else await this.#passRevised(response, reply, revision);
      return true;
    } catch (error) {
      if (takenBack.signal.aborted) return false;
      throw error;
    } finally {
      abort.removeEventListener("abort", takeBack);
    }
  }

  async asCallerUnless(
    statuses: ReadonlySet<number>,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<WholeAnswer | null> {
    const response = await this.#open(request, readable(passedOn(request.headers)), reply);
    if (statuses.has(response.statusCode)) return wholeAnswer(response, MAX_WHOLE_ANSWER_BYTES);
    if (revision === undefined) pass(response, reply);
    else await this.#passRevised(response, reply, revision);
    return null;
  }

  async open(request: UpstreamRequest, abort: AbortSignal): Promise<OpenAnswer> {
    const response = await this.#request({
      method: request.method,
      path: this.#client.path(request.path),
      headers: readable(passedOn(request.headers)),
      body: request.body,
      signal: abort,
    });
    this.#note(response, request);
    const drop = (): void => void response.body.on("error", () => undefined).destroy();
    return {
      give: (reply, revision) => {
        goneOf(reply).addEventListener("abort", drop, { once: true });
        return this.#passRevised(response, reply, revision);
      },
      drop,
    };
  }

  async given(body: Buffer, reply: FastifyReply, revision?: Revision): Promise<FastifyReply> {
    const revised = (await revision?.revise(body)) ?? body;
    const left = revision?.screen === undefined ? revised : screened(revised, revision.screen);
    return reply.code(200).type("application/json").send(left);
  }

  async answer(
    method: "GET" | "PUT" | "POST" | "DELETE",
    path: string,
    body: Buffer | null,
    limit = MAX_WHOLE_ANSWER_BYTES,
  ): Promise<WholeAnswer> {
    const { authorization } = this.#client;
    const options: Dispatcher.DispatchOptions = {
      method,
      path: this.#client.path(withUserId(path, this.#client.own)),
      headers: body === null ? { authorization } : { authorization, "content-type": "application/json" },
      body,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    };
    const answer = await gathered(this.#client.pool, options, limit);
    return { ...answer, headers: passedOn(answer.headers) };
  }

  async write(method: "PUT" | "POST", path: string, body: Buffer): Promise<WholeAnswer> {
    const answer = await this.answer(method, this.#asDevice(path), body);
    if (this.#device === null || !isUnknownDevice(answer.status, answer.body)) return answer;
    await this.#device.make();
    return this.answer(method, this.#asDevice(path), body);
  }

  #asDevice(path: string): string {
    return withQuery(path, this.#device?.query ?? "");
  }

  #ours(request: UpstreamRequest): [UpstreamRequest, IncomingHttpHeaders] {
    const headers = { ...passedOn(request.headers), authorization: this.#client.authorization };
    return [{ ...request, path: withUserId(request.path, this.#client.own) }, headers];
  }

  /** Sends a request, and aborts it when the caller of the reply goes away. */
  async #open(
    request: UpstreamRequest,
    headers: IncomingHttpHeaders,
    reply: FastifyReply,
    takenBack?: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const gone = goneOf(reply);
    const response = await this.#request({
      method: request.method,
      path: this.#client.path(request.path),
      headers,
      body: request.body,
      signal: takenBack === undefined ? gone : AbortSignal.any([gone, takenBack]),
    });
    this.#note(response, request);
    return response;
  }

  #note(response: Dispatcher.ResponseData, request: UpstreamRequest): void {
    if (response.statusCode !== 401) return;
    const token = tokenOf({ raw: { headers: request.headers, url: request.path } });
    if (token !== null) this.#unknown(token);
  }

  async #request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#client.pool.request({
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
        ...options,
      });
    } catch (error) {
      throw unreachable(error);
    }
  }

  async #passRevised(
    response: Dispatcher.ResponseData,
    reply: FastifyReply,
    revision: Revision,
  ): Promise<FastifyReply> {
    if (response.statusCode !== 200) return pass(response, reply);
    const { body, isRevised } = await this.#revised(response, reply, revision);
    const passed = passedOn(response.headers);
    const left = revision.screen === undefined || isEncoded(response) ? body : screened(body, revision.screen);
    if (isRevised || left !== body) delete passed["content-length"];
    return reply.code(200).headers(passed).send(left);
  }

  /** Returns the body to send. Its memory stays reserved until the caller has taken it. */
  async #revised(
    response: Dispatcher.ResponseData,
    reply: FastifyReply,
    { limit, isRequired = false, revise }: Revision,
  ): Promise<{ readonly body: Buffer | Readable; readonly isRevised: boolean }> {
    const { name, abort } = askerOf(reply);
    const hold = this.#held.open(name, abort, () => reply.raw.destroy());
    try {
      const { whole, body } = await readUpTo(response, limit, hold);
      if (whole === null && isRequired) throw tooLarge(limit);
      const revision = whole === null ? null : await revise(whole);
      return { body: revision ?? body, isRevised: revision !== null };
    } catch (error) {
      hold.free();
      response.body.on("error", () => undefined).destroy();
      throw error;
    }
  }
}

function pass(response: Dispatcher.ResponseData, reply: FastifyReply): FastifyReply {
  return reply.code(response.statusCode).headers(passedOn(response.headers)).send(response.body);
}

async function wholeAnswer(response: Dispatcher.ResponseData, limit: number): Promise<WholeAnswer> {
  const body = await readWhole(response, limit);
  return { status: response.statusCode, headers: passedOn(response.headers), body };
}

/** Homeservers may compress although they were asked not to. */
function isEncoded({ headers }: Dispatcher.ResponseData): boolean {
  return (headers["content-encoding"] ?? "identity") !== "identity";
}

/** Removes `accept-encoding`: an answer that we read must not be compressed. */
function readable(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const plain = { ...headers };
  delete plain["accept-encoding"];
  return plain;
}

/**
 * Reads the body up to `limit`. Returns the whole body if it ended there, and in any case what to send on.
 * @throws EmissaryError if the answer breaks off before.
 */
async function readUpTo(
  response: Dispatcher.ResponseData,
  limit: number,
  hold: Hold,
): Promise<{ readonly whole: Buffer | null; readonly body: Buffer | Readable }> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Not `for await`, which would end the stream with its loop.
  const rest = (response.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  while (size <= limit) {
    const next = await rest.next().catch((error: unknown) => {
      throw unreachable(error);
    });
    if (next.done === true) {
      const whole = Buffer.concat(chunks, size);
      return { whole, body: whole };
    }
    await hold.add(next.value.length);
    chunks.push(next.value);
    size += next.value.length;
  }
  return { whole: null, body: Readable.from(joined(chunks, rest), { objectMode: false }) };
}

async function* joined(head: Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (let chunk = head.shift(); chunk !== undefined; chunk = head.shift()) yield chunk;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const passed: IncomingHttpHeaders = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !HOP_BY_HOP.has(name)) passed[name] = value;
  }
  return passed;
}

function withUserId(path: string, userId: string): string {
  return withQuery(path, `user_id=${encodeURIComponent(userId)}`);
}

function withQuery(path: string, query: string): string {
  return query === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${query}`;
}
