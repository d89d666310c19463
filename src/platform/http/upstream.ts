import type { FastifyReply } from "fastify";
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

/** Passes requests to the homeserver and its answers back, streaming: the answer is neither parsed nor held. */
export interface Upstream {
  /** As the pseudouser, with our own token. @throws EmissaryError where the homeserver gives no answer. */
  asPseudouser(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply>;
  /** As whoever asks, with the caller's own authorization. @throws EmissaryError likewise. */
  asCaller(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply>;
  /** As the pseudouser, for an answer that is wanted whole: small ones only. @throws EmissaryError likewise. */
  answer(
    method: "GET" | "PUT" | "POST",
    path: string,
    body: Buffer | null,
  ): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }>;
}
