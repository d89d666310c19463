import type { FastifyReply, FastifyRequest } from "fastify";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

/** A request on its way to the homeserver. */
export interface UpstreamRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "OPTIONS" | "HEAD" | "PATCH";
  /** Path and query as they go out, without the homeserver's base path. */
  readonly path: string;
  /** The caller's headers; what belongs to the connection or to the caller's own token is left behind. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer | Readable | null;
}

/** A request as it came, or to another path. */
export function upstreamRequest(request: FastifyRequest, path = request.raw.url ?? "/"): UpstreamRequest {
  return {
    method: request.method as UpstreamRequest["method"],
    path,
    headers: request.headers,
    body: (request.body ?? null) as UpstreamRequest["body"],
  };
}

export interface Revision {
  /** Bytes. */
  readonly limit: number;
  /** A larger answer is an error, and does not go on as it is: what is left out of it is not for the caller. */
  readonly isRequired?: boolean;
  /** What is given as a stream is sent as it comes; where it fails, the answer breaks off. */
  readonly revise: (body: Buffer) => Buffer | Readable | null | Promise<Buffer | Readable | null>;
  /** What goes on, revised or not, goes through this, whatever its size. */
  readonly screen?: Screen;
}

/** Changes answers while they stream. */
export interface Screen {
  /** Whether there can be anything to change in an answer that is there as a whole. */
  readonly mayChange: (whole: Uint8Array) => boolean;
  /** For one answer. */
  readonly begin: () => Screening;
}

export interface Screening {
  /** Takes the next piece, and gives what goes on. */
  push(piece: Uint8Array): Uint8Array;
  /** The rest. */
  end(): Uint8Array;
}

/** How the entries of one list or object of an answer are changed while it streams. */
export interface Rewriting {
  /** Its key in the answer; null where the answer is the list. */
  readonly within: string | null;
  /** An entry as it is to be sent, or null for none; those of an object are `"key":value`. */
  readonly change: (entry: Buffer) => Buffer | null;
  /** Entries to add. */
  readonly more: () => readonly Buffer[];
  /** Thrown where the answer has no such list; null where it then goes on as it is. */
  readonly unreadable: (() => Error) | null;
}

/** An answer that was read to its end. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Gives an answer on as it is. */
export function sendWhole(reply: FastifyReply, { status, headers, body }: WholeAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

/** An answer of the homeserver's of which nothing is read yet. It is given to one reply, or dropped. */
export interface OpenAnswer {
  give(reply: FastifyReply, revision: Revision): Promise<FastifyReply>;
  drop(): void;
}

/** Passes requests to the homeserver and its answers back. They stream, neither parsed nor held, where nothing else is said. */
export interface Upstream {
  /** As the pseudouser, with our own token. @throws EmissaryError where the homeserver gives no answer. */
  asPseudouser(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply>;
  /**
   * As the pseudouser, where what comes back is to be looked at first. A successful answer of at most `limit` bytes is held until
   * it is whole, and `revise` says what goes on instead of it; null for the answer as it came. Every other streams on as it is.
   * @throws EmissaryError likewise, and where the answer breaks off before it goes on.
   */
  revised(request: UpstreamRequest, reply: FastifyReply, revision: Revision): Promise<FastifyReply>;
  /**
   * As the pseudouser, where of a large list some entries are to be others. A successful answer streams, one entry at a time held.
   * @throws EmissaryError likewise; what `unreadable` makes
   */
  rewritten(request: UpstreamRequest, reply: FastifyReply, rewriting: Rewriting): Promise<FastifyReply>;
  /** As whoever asks, with the caller's own authorization. @throws EmissaryError likewise. */
  asCaller(request: UpstreamRequest, reply: FastifyReply, revision?: Revision): Promise<FastifyReply>;
  /**
   * As whoever asks, unless the signal aborts before an answer has begun: then the question is taken back.
   * @returns whether there was an answer
   * @throws EmissaryError likewise
   */
  asCallerUntil(
    abort: AbortSignal,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<boolean>;
  /**
   * As whoever asks, unless the answer has one of these statuses: then it is not sent on, and is what this resolves to; null otherwise.
   * @throws EmissaryError likewise
   */
  asCallerUnless(
    statuses: ReadonlySet<number>,
    request: UpstreamRequest,
    reply: FastifyReply,
    revision?: Revision,
  ): Promise<WholeAnswer | null>;
  /**
   * As whoever asks, apart from any reply, for an answer that is to be revised.
   * @throws EmissaryError likewise, also where the signal aborts before an answer has begun
   */
  open(request: UpstreamRequest, abort: AbortSignal): Promise<OpenAnswer>;
  /** What was made here of what the homeserver had said before, as if it came from there. */
  given(body: Buffer, reply: FastifyReply, revision?: Revision): Promise<FastifyReply>;
  /**
   * As the pseudouser, for an answer that is wanted whole.
   * @param limit bytes that it may have; those of a small one where left out
   * @throws EmissaryError likewise, and `homeserver-error` where it is larger
   */
  answer(
    method: "GET" | "PUT" | "POST" | "DELETE",
    path: string,
    body: Buffer | null,
    limit?: number,
  ): Promise<WholeAnswer>;
  /** The same for what has a transaction ID: as the pseudouser's device, for which homeservers remember it best. */
  write(method: "PUT" | "POST", path: string, body: Buffer): Promise<WholeAnswer>;
}
