import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../model/errors.ts";
import { readJson } from "../http/body.ts";
import { param, queryAll, serve, type Handler as Route } from "../http/server.ts";
import { ADMIN_BASE, ADMIN_ENDPOINTS, type AdminEndpoints } from "./api/endpoints.ts";
import type { AnswerOf, Body, Endpoint, ParamsOf } from "./api/endpoint.ts";

const MAX_BODY = 64 * 1024;

interface Asked<One extends Endpoint> {
  readonly params: Readonly<Record<ParamsOf<One["path"]>, string>>;
  readonly query: One extends { readonly query: infer Query extends z.ZodType } ? z.output<Query> : null;
  readonly body: One extends { readonly body: { readonly schema: infer Schema extends z.ZodType } }
    ? z.output<Schema>
    : null;
  /** Aborts when the caller hangs up. */
  readonly gone: AbortSignal;
}

export type Handler<One extends Endpoint> = (asked: Asked<One>) => Promise<AnswerOf<One>>;

export type Handlers<Name extends keyof AdminEndpoints = keyof AdminEndpoints> = {
  readonly [One in Name]: Handler<AdminEndpoints[One]>;
};

export function serveHandlers(server: FastifyInstance, handlers: Handlers): void {
  const endpoints = Object.entries<Endpoint>(ADMIN_ENDPOINTS);
  for (const [path, here] of Map.groupBy(endpoints, ([, endpoint]) => endpoint.path)) {
    const routes = here.map(([name, endpoint]) => [
      endpoint.method,
      routeOf(endpoint, handlers[name as keyof AdminEndpoints] as Handler<Endpoint>),
    ]);
    serve(server, `${ADMIN_BASE}${path}`, Object.fromEntries(routes) as Record<Endpoint["method"], Route>);
  }
}

function routeOf({ path, query, body }: Endpoint, handler: Handler<Endpoint>): Route {
  const names = path.match(/(?<=:)\w+/g) ?? [];
  return async (request, reply) => {
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    return handler({
      params: Object.fromEntries(names.map((name) => [name, param(request, name)])),
      query: query === undefined ? null : queryIn(request, query),
      body: body === undefined ? null : await bodyIn(request, body),
      gone: gone.signal,
    } as Asked<Endpoint>);
  };
}

function queryIn(request: FastifyRequest, schema: z.ZodObject): unknown {
  const given = Object.entries(schema.shape).map(([name, one]) => {
    const values = queryAll(request, name);
    return [name, one instanceof z.ZodArray ? values : values[0]];
  });
  const query = schema.safeParse(Object.fromEntries(given));
  if (query.success) return query.data;
  throw new EmissaryError("bad-parameter", query.error.issues[0]?.message ?? "The query does not fit.");
}

async function bodyIn(request: FastifyRequest, { schema, fault }: Body): Promise<unknown> {
  const body = schema.safeParse(await readJson(request, MAX_BODY));
  if (body.success) return body.data;
  const issues = body.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`.trim());
  throw new EmissaryError("bad-request", fault(issues.join("; ")));
}

/** Returns the next page's start; null if this page is not full and so the last. */
export function nextOf<Item, Next>(items: readonly Item[], limit: number, next: (last: Item) => Next): Next | null {
  const last = items.at(-1);
  return items.length < limit || last === undefined ? null : next(last);
}
