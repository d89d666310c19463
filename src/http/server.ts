import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import { isJsonObject } from "../model/json.ts";
import type { Logger } from "../model/logger.ts";
import { pathForLog } from "./bearer.ts";
import { MATRIX_ERRORS, matrixErrorBody, type Audience } from "./matrix-errors.ts";
import { SlowBodies, type Direction } from "./slow-bodies.ts";
import { faultInTarget } from "./target.ts";

/** Percent-encoded identifiers of 255 bytes: with fastify's own bound of 100 they would get a 404. */
const MAX_PARAM_LENGTH = 1024;
/** Deadline for a request's headers, and interval of the check for late ones, in milliseconds. */
const HEADERS_MS = 30_000;
const LATE_LOOK_MS = 5_000;
/** Larger answers go out in pieces, which shows how fast the caller takes them. */
const LARGE = 256 * 1024;
const PIECE = 64 * 1024;
/** Most connections before their first request, and most between two requests. Beyond that the oldest is closed. */
const FRESH = 4_096;
const RESTING = 2_048;

export interface ServerOptions {
  /** The listener's name in the log: `intake`, `gateway`, `admin`. */
  readonly name: string;
  /** Most bytes of a request body; more gets a 413. Null: bodies are streams (see body.ts). */
  readonly bodyLimit: number | null;
  readonly audience: Audience;
  /** Whether requests may go on to the homeserver with their path. */
  readonly passesOn?: boolean;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Headers of answers that are sent before a route is found, which would otherwise set them. */
  readonly early?: Readonly<Record<string, string>>;
  /** Called for each connection that is cut off because the caller sends or takes too slowly. */
  readonly cut?: (direction: Direction) => void;
}

/** Makes a server that answers failures as Matrix errors, leaves bodies unparsed, and logs requests without query. */
export function makeServer(options: ServerOptions): FastifyInstance {
  const { name, bodyLimit, audience, passesOn = false, log, clock, random, early = {}, cut } = options;
  const start = random.token(4);
  let requests = 0;
  const server = fastify({
    bodyLimit: bodyLimit ?? Number.MAX_SAFE_INTEGER,
    logger: false,
    exposeHeadRoutes: false,
    genReqId: () => `${start}-${(requests += 1).toString(36)}`,
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: LATE_LOOK_MS },
    // A streamed body, such as an upload, has no deadline, but must keep a minimum rate (slow-bodies.ts).
    requestTimeout: bodyLimit === null ? 0 : 120_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Failures before a route is found, such as broken percent-encoding.
    frameworkErrors: (error, _request, reply) => sendError(reply.headers(early), asEmissaryError(error), audience),
  });
  // Must be the first hook, before any token is examined.
  server.addHook("onRequest", (request, reply, done) => {
    const fault = faultInTarget(request.raw.url ?? "", passesOn);
    if (fault === null) slowBodies.watch(request.raw, reply.raw);
    done(fault === null ? undefined : malformed("bad-parameter", fault));
  });
  boundConnections(server.server);
  const slowBodies = new SlowBodies(clock, (direction) => {
    cut?.(direction);
    log.debug("http.cut-off", { listener: name, body: direction });
  });
  server.addHook("onClose", async () => slowBodies.end());
  server.addHook("onSend", (_request, reply, payload, done) => {
    const isText = typeof payload === "string";
    if (!(isText || Buffer.isBuffer(payload)) || payload.length <= LARGE) {
      done(null, payload);
      return;
    }
    const bytes = isText ? Buffer.from(payload) : payload;
    void reply.header("content-length", bytes.length);
    done(null, Readable.from(piecesOf(bytes), { objectMode: false, highWaterMark: PIECE }));
  });
  server.removeAllContentTypeParsers();
  if (bodyLimit === null) server.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
  else server.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  server.setErrorHandler((error, request, reply) => {
    const known = asEmissaryError(error);
    if (known.code === "internal") log.error("http.failed", { listener: name, request: request.id, error });
    // Strangers do not see the cause; the operator finds it here.
    else if (audience === "strangers") {
      log.debug("http.refused", { listener: name, request: request.id, code: known.code, cause: known.message });
    }
    sendError(reply, known, audience);
  });
  server.addHook("onResponse", (request, reply, done) => {
    log.debug("http.request", {
      listener: name,
      request: request.id,
      method: request.method,
      route: request.routeOptions.url ?? "none",
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    });
    done();
  });
  return server;
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

function sendError(reply: FastifyReply, error: EmissaryError, audience: Audience): void {
  void reply.code(MATRIX_ERRORS[error.code][0]);
  if (error.retryAfter !== null) void reply.header("retry-after", Math.ceil(error.retryAfter / 1000));
  void reply.send(matrixErrorBody(error, audience));
}

function malformed(code: "bad-parameter" | "bad-request", fault: string): EmissaryError {
  return new EmissaryError(code, `The request is malformed: ${fault}.`);
}

/** Translates an error: ours stay, fastify's by their meaning. All others are internal, without details for strangers. */
function asEmissaryError(error: unknown): EmissaryError {
  if (error instanceof EmissaryError) return error;
  const { code, statusCode: status } = isJsonObject(error) ? error : {};
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new EmissaryError("too-large", "The body is too large for this endpoint.");
  }
  // Only FST_ERR_BAD_URL is about the path; fastify's other errors are about the body and its headers.
  if (typeof status === "number" && status >= 400 && status < 500) {
    return malformed(code === "FST_ERR_BAD_URL" ? "bad-parameter" : "bad-request", sentenceOf(error));
  }
  return new EmissaryError("internal", "Emissary failed at this request; its log says more.", { cause: error });
}

export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

export const refusePath: Handler = async (request) => {
  throw new EmissaryError("unrecognized", `There is nothing at ${request.method} ${pathForLog(request.url)} here.`);
};

export type Method = "GET" | "PUT" | "POST" | "DELETE";

/** Serves a path. HEAD goes with GET (RFC 9110, 9.1). Other methods get `otherwise`, or 405 M_UNRECOGNIZED (spec). */
export function serve(
  server: FastifyInstance,
  path: string,
  handlers: Partial<Record<Method, Handler>>,
  otherwise: Handler = refuseMethod,
): void {
  for (const method of ["GET", "PUT", "POST", "DELETE", "PATCH"] as const) {
    const handler = method === "PATCH" ? otherwise : (handlers[method] ?? otherwise);
    server.route({ method: method === "GET" ? ["GET", "HEAD"] : method, url: path, handler });
  }
}

export const refuseMethod: Handler = async (request) => {
  throw new EmissaryError("method-not-allowed", `${request.method} is not a method of ${pathForLog(request.url)}.`);
};

/** Returns a path parameter. A route has all parameters of its pattern. */
export function param(request: FastifyRequest, name: string): string {
  const value = (request.params as Readonly<Record<string, string | undefined>>)[name];
  if (value === undefined) throw new Error(`the route ${request.routeOptions.url ?? ""} has no parameter ${name}`);
  return value;
}

export function queryAll(request: FastifyRequest, name: string): readonly string[] {
  const value = (request.query as Readonly<Record<string, string | string[] | undefined>>)[name];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** Opens the listener and returns its port. @throws EmissaryError `bad-config` naming the listener's key if it cannot */
export async function listen(
  server: FastifyInstance,
  key: string,
  address: { readonly host: string; readonly port: number },
): Promise<number> {
  try {
    // A copy: fastify writes into its argument, and our configuration is frozen.
    await server.listen({ host: address.host, port: address.port });
  } catch (error) {
    throw new EmissaryError(
      "bad-config",
      `Cannot listen on ${address.host}:${address.port} (${key}): ${sentenceOf(error)}. Another program, perhaps a second Emissary, may have it.`,
      { cause: error },
    );
  }
  return (server.server.address() as AddressInfo).port;
}

/** Bounds connections without a request. An honest caller makes its first at once: it is not among the oldest. */
function boundConnections(server: Server): void {
  const fresh = new Set<Socket>();
  const resting = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    keep(fresh, socket, FRESH);
    socket.once("close", () => {
      fresh.delete(socket);
      resting.delete(socket);
    });
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    fresh.delete(socket);
    resting.delete(socket);
    response.once("close", () => {
      if (!socket.destroyed) keep(resting, socket, RESTING);
    });
  });
}

function keep(sockets: Set<Socket>, socket: Socket, most: number): void {
  sockets.add(socket);
  const [oldest] = sockets;
  if (sockets.size <= most || oldest === undefined) return;
  sockets.delete(oldest);
  oldest.destroy();
}
