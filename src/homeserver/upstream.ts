import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Dispatcher } from "undici";
import { tokenOf } from "../http/bearer.ts";
import type { BytesHeld } from "../concurrency/bytes-held.ts";
import { askerOf, goneOf } from "../http/callers.ts";
import { sendWhole, type Revision, type Upstream, type UpstreamRequest, type WholeAnswer } from "../http/upstream.ts";
import { drop, gathered, nextOf, piecesOf, readUpTo, screened } from "./answers.ts";
import { readWhole, tooLarge, unreachable, type HomeserverClient } from "./client.ts";
import { isUnknownDevice, type PseudouserDevice } from "./device.ts";
import { EntryRewriter, rewrittenPieces } from "./entries.ts";
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
const TIMEOUTS = { headersTimeout: ANSWER_TIMEOUT_MS, bodyTimeout: ANSWER_TIMEOUT_MS } as const;
const MAX_WHOLE_ANSWER_BYTES = 1024 * 1024;
/** A list whose entries are changed must begin within this many bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

interface Extras {
  /** Called with tokens that the homeserver does not know. */
  readonly unknown?: (token: string) => void;
  readonly device?: Pick<PseudouserDevice, "query" | "make">;
}

export class HomeserverUpstream implements Upstream {
  readonly #client: HomeserverClient;
  readonly #held: BytesHeld;
  readonly #more: Extras;

  constructor(client: HomeserverClient, held: BytesHeld, more: Extras = {}) {
    this.#client = client;
    this.#held = held;
    this.#more = more;
  }

  readonly asPseudouser: Upstream["asPseudouser"] = async (request, reply) =>
    pass(await this.#open(...this.#ours(request), reply), reply);

  readonly revised: Upstream["revised"] = async (request, reply, revision) => {
    const [ours, headers] = this.#ours(request);
    // Homeservers show an event's transaction ID only to the device that sent the event.
    const open = (): Promise<Dispatcher.ResponseData> =>
      this.#open({ ...ours, path: this.#asDevice(ours.path) }, readable(headers), reply);
    const response = await open();
    if (response.statusCode !== 400) return this.#pass(response, reply, revision);
    const refusal = await wholeAnswer(response);
    if (!this.#isDeviceGone(refusal)) return sendWhole(reply, refusal);
    await this.#more.device?.make();
    return this.#pass(await open(), reply, revision);
  };

  readonly rewritten: Upstream["rewritten"] = async (request, reply, rewriting) => {
    const [ours, headers] = this.#ours(request);
    const response = await this.#open(ours, readable(headers), reply);
    if (response.statusCode !== 200) return pass(response, reply);
    const rewriter = new EntryRewriter(rewriting);
    const pieces = piecesOf(response);
    const head: Buffer[] = [];
    let size = 0;
    // Send the status only once the list is found.
    while (!rewriter.isFound && size < MAX_HEAD_BYTES) {
      const piece = await nextOf(pieces);
      if (piece === null) break;
      size += piece.length;
      head.push(rewriter.push(piece));
    }
    if (!rewriter.isFound && rewriting.unreadable !== null) {
      drop(response);
      throw rewriting.unreadable();
    }
    const passed = passedOn(response.headers);
    delete passed["content-length"];
    const body = Readable.from(rewrittenPieces(rewriter, Buffer.concat(head), pieces), { objectMode: false });
    return reply.code(200).headers(passed).send(body);
  };

  readonly asCaller: Upstream["asCaller"] = async (request, reply, revision) =>
    this.#pass(await this.#open(request, callersHeaders(request, revision), reply), reply, revision);

  readonly asCallerUntil: Upstream["asCallerUntil"] = async (abort, request, reply, revision) => {
    if (abort.aborted) return false;
    // An answer that has begun must not break off, so it has its own signal.
    const takenBack = new AbortController();
    const takeBack = (): void => takenBack.abort(OVER);
    abort.addEventListener("abort", takeBack, { once: true });
    try {
      const response = await this.#open(request, callersHeaders(request, revision), reply, takenBack.signal);
      if (takenBack.signal.aborted) {
        drop(response);
        return false;
      }
      abort.removeEventListener("abort", takeBack);
      // Without a revision nobody waits for the end: a reply's promise resolves once it was sent.
      if (revision === undefined) pass(response, reply);
      else await this.#pass(response, reply, revision);
      return true;
    } catch (error) {
      if (takenBack.signal.aborted) return false;
      throw error;
    } finally {
      abort.removeEventListener("abort", takeBack);
    }
  };

  readonly asCallerUnless: Upstream["asCallerUnless"] = async (statuses, request, reply, revision) => {
    const response = await this.#open(request, readable(passedOn(request.headers)), reply);
    if (statuses.has(response.statusCode)) return wholeAnswer(response);
    if (revision === undefined) pass(response, reply);
    else await this.#pass(response, reply, revision);
    return null;
  };

  readonly open: Upstream["open"] = async (request, abort) => {
    const response = await this.#request(request, readable(passedOn(request.headers)), abort);
    return {
      give: (reply, revision) => {
        goneOf(reply).addEventListener("abort", () => drop(response), { once: true });
        return this.#pass(response, reply, revision);
      },
      drop: () => drop(response),
    };
  };

  readonly given: Upstream["given"] = async (body, reply, revision) => {
    const revised = (await revision?.revise(body)) ?? body;
    const left = revision?.screen === undefined ? revised : screened(revised, revision.screen);
    return reply.code(200).type("application/json").send(left);
  };

  readonly answer: Upstream["answer"] = async (method, path, body, limit = MAX_WHOLE_ANSWER_BYTES) => {
    const { authorization } = this.#client;
    const options: Dispatcher.DispatchOptions = {
      method,
      path: this.#client.path(withUserId(path, this.#client.own)),
      headers: body === null ? { authorization } : { authorization, "content-type": "application/json" },
      body,
      ...TIMEOUTS,
    };
    const answer = await gathered(this.#client.pool, options, limit);
    return { ...answer, headers: passedOn(answer.headers) };
  };

  readonly write: Upstream["write"] = async (method, path, body) => {
    const answer = await this.answer(method, this.#asDevice(path), body);
    if (!this.#isDeviceGone(answer)) return answer;
    await this.#more.device?.make();
    return this.answer(method, this.#asDevice(path), body);
  };

  #asDevice(path: string): string {
    return withQuery(path, this.#more.device?.query ?? "");
  }

  #isDeviceGone({ status, body }: WholeAnswer): boolean {
    return this.#more.device !== undefined && isUnknownDevice(status, body);
  }

  #ours(request: UpstreamRequest): [UpstreamRequest, IncomingHttpHeaders] {
    const headers = { ...passedOn(request.headers), authorization: this.#client.authorization };
    return [{ ...request, path: withUserId(request.path, this.#client.own) }, headers];
  }

  #open(
    request: UpstreamRequest,
    headers: IncomingHttpHeaders,
    reply: FastifyReply,
    takenBack?: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const gone = goneOf(reply);
    return this.#request(request, headers, takenBack === undefined ? gone : AbortSignal.any([gone, takenBack]));
  }

  async #request(
    request: UpstreamRequest,
    headers: IncomingHttpHeaders,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { method, body } = request;
    const path = this.#client.path(request.path);
    const response = await this.#client.pool
      .request({ method, path, headers, body, signal, ...TIMEOUTS })
      .catch(failed);
    if (response.statusCode !== 401) return response;
    const token = tokenOf({ raw: { headers: request.headers, url: request.path } });
    if (token !== null) this.#more.unknown?.(token);
    return response;
  }

  async #pass(response: Dispatcher.ResponseData, reply: FastifyReply, revision?: Revision): Promise<FastifyReply> {
    if (revision === undefined || response.statusCode !== 200) return pass(response, reply);
    const { limit, isRequired = false, revise, screen } = revision;
    const { name, abort } = askerOf(reply);
    // The memory stays reserved until the caller has taken the body.
    const hold = this.#held.open(name, abort, () => reply.raw.destroy());
    try {
      const { whole, body } = await readUpTo(response, limit, hold);
      if (whole === null && isRequired) throw tooLarge(limit);
      const revised = whole === null ? null : await revise(whole);
      const found = revised ?? body;
      const left = screen === undefined || isEncoded(response) ? found : screened(found, screen);
      const passed = passedOn(response.headers);
      if (revised !== null || left !== body) delete passed["content-length"];
      void reply.code(200).headers(passed).send(left);
    } catch (error) {
      hold.free();
      drop(response);
      throw error;
    }
    return reply;
  }
}

function pass(response: Dispatcher.ResponseData, reply: FastifyReply): FastifyReply {
  return reply.code(response.statusCode).headers(passedOn(response.headers)).send(response.body);
}

function failed(error: unknown): never {
  throw unreachable(error);
}

async function wholeAnswer(response: Dispatcher.ResponseData): Promise<WholeAnswer> {
  const body = await readWhole(response, MAX_WHOLE_ANSWER_BYTES);
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

function callersHeaders({ headers }: UpstreamRequest, revision?: Revision): IncomingHttpHeaders {
  return revision === undefined ? passedOn(headers) : readable(passedOn(headers));
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
