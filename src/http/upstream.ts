import type { FastifyReply, FastifyRequest } from "fastify";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

export interface UpstreamRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "OPTIONS" | "HEAD" | "PATCH";
  /** Path and query without the homeserver's base path. */
  readonly path: string;
  /** The caller's headers. Headers of the connection and the caller's own token are dropped. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer | Readable | null;
}

/** Returns the request as it came, or with another path. */
export function upstreamRequest(request: FastifyRequest, path = request.raw.url ?? "/"): UpstreamRequest {
  return {
    method: request.method as UpstreamRequest["method"],
    path,
    headers: request.headers,
    body: (request.body ?? null) as UpstreamRequest["body"],
  };
}

export interface Revision {
  /** In bytes. */
  readonly limit: number;
  /** If true, an answer above the limit is an error: unrevised, it would contain what the caller must not see. */
  readonly isRequired?: boolean;
  /** A returned stream is sent as it arrives. If it fails, the answer breaks off. */
  readonly revise: (body: Buffer) => Buffer | Readable | null | Promise<Buffer | Readable | null>;
  /** Every answer passes through this, revised or not, whatever its size. */
  readonly screen?: Screen;
}

export interface Screen {
  /** Returns whether a whole answer may need a change. */
  readonly mayChange: (whole: Uint8Array) => boolean;
  readonly begin: () => Screening;
}

export interface Screening {
  push(piece: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

/** How to change the entries of one list or object while the answer streams. */
export interface Rewriting {
  /** Its key in the answer; null if the answer itself is the list. */
  readonly within: string | null;
  /** Returns the entry to send, or null to drop it. Entries of an object are `"key":value`. */
  readonly change: (entry: Buffer) => Buffer | null;
  readonly more: () => readonly Buffer[];
  /** Makes the error for an answer without this list; null to pass that answer on. */
  readonly unreadable: (() => Error) | null;
}

export interface WholeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export function sendWhole(reply: FastifyReply, { status, headers, body }: WholeAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

/** An unread answer of the homeserver. It must be given to one reply or dropped. */
export interface OpenAnswer {
  give(reply: FastifyReply, revision: Revision): Promise<FastifyReply>;
  drop(): void;
}

/** Passes requests to the homeserver and its answers back. By default both stream, neither parsed nor held. */
export interface Upstream {
  /** Sends a request as the pseudouser, with our own token. @throws EmissaryError if the homeserver gives no answer */
  asPseudouser(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply>;
  /**
   * Sends a request as the pseudouser. Holds a successful answer of at most `limit` bytes until it is whole; `revise`
   * returns its replacement, or null to keep it. @throws EmissaryError likewise, and if the answer breaks off before
   */
  revised(request: UpstreamRequest, reply: FastifyReply, revision: Revision): Promise<FastifyReply>;
  /** Like `asPseudouser`, but changes entries of a large list as it streams. @throws also what `unreadable` makes */
  rewritten(request: UpstreamRequest, reply: FastifyReply, rewriting: Rewriting): Promise<FastifyReply>;
  /** Sends a request as the caller, with the caller's own authorization. @throws EmissaryError likewise. */
  asCaller(request: UpstreamRequest, reply: FastifyReply, revision?: Revision): Promise<FastifyReply>;
  /** Like `asCaller`, but cancels the request if the signal aborts before an answer has begun, and returns false. */
  asCallerUntil(
    abort: AbortSignal,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<boolean>;
  /** Like `asCaller`, but returns an answer with one of these statuses unsent; null for other answers. */
  asCallerUnless(
    statuses: ReadonlySet<number>,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<WholeAnswer | null>;
  /** Sends a request as the caller, without a reply. @throws also if the signal aborts before an answer */
  open(request: UpstreamRequest, abort: AbortSignal): Promise<OpenAnswer>;
  /** Sends an answer made here from earlier ones of the homeserver, as if it came from there. */
  given(body: Buffer, reply: FastifyReply, revision?: Revision): Promise<FastifyReply>;
  /**
   * Sends a request as the pseudouser and reads the answer whole, if it has at most `limit` bytes.
   * @throws EmissaryError likewise, and `homeserver-error` if the answer is larger
   */
  answer(
    method: "GET" | "PUT" | "POST" | "DELETE",
    path: string,
    body: Buffer | null,
    limit?: number,
  ): Promise<WholeAnswer>;
  /** Like `answer`, for a transaction ID: as a device, since homeservers remember a device's IDs best. */
  write(method: "PUT" | "POST", path: string, body: Buffer): Promise<WholeAnswer>;
}
