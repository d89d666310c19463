import type { IncomingHttpHeaders } from "node:http";
import type { FastifyReply } from "fastify";
import type { Dispatcher } from "undici";
import type { Upstream, UpstreamRequest } from "../platform/http/upstream.ts";
import { readWhole, unreachable, type HomeserverClient } from "./client.ts";

/** Of one connection, not of the message (RFC 9110, 7.6.1), and `host`, which names us. */
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

/** A long-polling answer may take this long to begin, and pause this long within, milliseconds. */
const ANSWER_TIMEOUT_MS = 5 * 60_000;
const MAX_WHOLE_ANSWER_BYTES = 1024 * 1024;

/** Streams requests to the homeserver over the client's pool. */
export class HomeserverUpstream implements Upstream {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  async asPseudouser(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply> {
    const headers = passedOn(request.headers);
    headers["authorization"] = this.#client.authorization;
    return this.#stream({ ...request, path: withUserId(request.path, this.#client.own) }, headers, reply);
  }

  async asCaller(request: UpstreamRequest, reply: FastifyReply): Promise<FastifyReply> {
    return this.#stream(request, passedOn(request.headers), reply);
  }

  async answer(
    method: "GET" | "PUT" | "POST",
    path: string,
    body: Buffer | null,
  ): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }> {
    const response = await this.#request({
      method,
      path: this.#client.path(withUserId(path, this.#client.own)),
      headers: {
        authorization: this.#client.authorization,
        ...(body === null ? {} : { "content-type": "application/json" }),
      },
      body,
    });
    const whole = await readWhole(response, MAX_WHOLE_ANSWER_BYTES);
    return { status: response.statusCode, headers: passedOn(response.headers), body: whole };
  }

  async #stream(request: UpstreamRequest, headers: IncomingHttpHeaders, reply: FastifyReply): Promise<FastifyReply> {
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    const response = await this.#request({
      method: request.method,
      path: this.#client.path(request.path),
      headers,
      body: request.body,
      signal: gone.signal,
    });
    return reply.code(response.statusCode).headers(passedOn(response.headers)).send(response.body);
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
}

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const passed: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!HOP_BY_HOP.has(name) && value !== undefined) passed[name] = value;
  }
  return passed;
}

function withUserId(path: string, userId: string): string {
  return `${path}${path.includes("?") ? "&" : "?"}user_id=${encodeURIComponent(userId)}`;
}
