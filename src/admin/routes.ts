import type { FastifyInstance, FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { isSameSecret, tokensOf } from "../http/bearer.ts";
import { refusePath, serve } from "../http/server.ts";
import type { AdminParts } from "./admin.ts";
import { aliasHandlers } from "./aliases.ts";
import type { StatusAnswer } from "./api/daemon.ts";
import { openApi } from "./api/openapi.ts";
import { guardJson } from "./guard.ts";
import { serveHandlers, nextOf } from "./handlers.ts";
import { policyHandlers } from "./policy.ts";
import { roomHandlers } from "./rooms.ts";
import { allDeliveriesJson, tenantHandlers } from "./tenants.ts";
import { isIP } from "node:net";

/** Paths that need no token. */
const OPEN: ReadonlySet<string> = new Set(["/health", "/ready", "/metrics"]);

/** Serves the admin API: JSON below /_emissary/v1 with the admin token; health and metrics without a token. */
export function adminRoutes(server: FastifyInstance, parts: AdminParts): void {
  // Checks the matched route, not the URL's spelling: closed unless named here.
  server.addHook("onRequest", async (request) => {
    const { header } = tokensOf(request.raw);
    if (header === null || !isSameSecret(header, parts.token)) requireOwnHost(request, parts.hosts);
    if (OPEN.has(request.routeOptions.url ?? "")) return;
    if (header === null) throw new EmissaryError("missing-token", "The request has no token: admin.token is expected.");
    if (!isSameSecret(header, parts.token)) throw new EmissaryError("unknown-token", "The token is not admin.token.");
  });

  serve(server, "/health", { GET: async () => ({ status: "alive" }) });
  serve(server, "/ready", {
    GET: async () => {
      const reason = parts.notReadyBecause();
      if (reason !== null) throw new EmissaryError("not-ready", reason);
      return { status: "ready" };
    },
  });
  serve(server, "/metrics", {
    GET: async (_request, reply) => {
      const { contentType, text } = await parts.metricsText();
      return reply.header("content-type", contentType).send(text);
    },
  });

  serveHandlers(server, {
    status: () => status(parts),
    async audit({ query: { before, limit } }) {
      const entries = await parts.audit.newest(before, limit);
      return {
        entries: entries.map(({ roomId, ...entry }) => ({ ...entry, room_id: roomId })),
        next: nextOf(entries, limit, ({ id }) => id),
      };
    },
    // The daemon writes the file with its own rights, so the path is one of its machine.
    backup: async ({ body: { path } }) => ({ path, ...(await parts.backup(path)) }),
    openapi: async () => openApi(parts.version),
    ...roomHandlers(parts),
    ...aliasHandlers(parts),
    ...policyHandlers(parts),
    ...tenantHandlers(parts),
  });
  server.setNotFoundHandler(refusePath);
}

async function status(parts: AdminParts): Promise<StatusAnswer> {
  const { phases, leases, loading } = await parts.overview.totals();
  const { first, last } = await parts.journal.bounds();
  const extent = await parts.history.extent();
  const reason = parts.notReadyBecause();
  const delivery = parts.delivery();
  return {
    version: parts.version,
    pseudouser: parts.own,
    ready: reason === null,
    not_ready_because: reason,
    uptime_ms: parts.clock.now() - parts.startedAt,
    homeserver: { url: parts.homeserver.url, server_name: parts.homeserver.serverName },
    restored:
      parts.restored === null ? null : { written_until: parts.restored.from, lost_until: parts.restored.lostUntil },
    rooms: {
      present: phases["present"] ?? 0,
      joining: phases["joining"] ?? 0,
      leaving: phases["leaving"] ?? 0,
      refused: phases["refused"] ?? 0,
      loading,
    },
    leases,
    journal: {
      ...(last === 0 ? { first_seq: null, last_seq: null } : { first_seq: first, last_seq: last }),
      bytes: parts.history.bytes,
      oldest_at: extent.journalOldestAt,
      held_by: parts.history.laggingConsumers.map(({ consumer, seq, behind, since }) => ({
        consumer,
        seq,
        events_behind: behind,
        unread_since: since,
      })),
    },
    audit: {
      entries: parts.history.auditEntries(extent),
      bytes: parts.history.auditBytes,
      oldest_at: extent.auditOldestAt,
    },
    intake: { ...parts.tally.intake, late: parts.lateEvents() },
    last_ping: parts.tally.lastPing,
    delivery: delivery.state === "flowing" ? { state: "flowing", since: null, cause: null } : delivery,
    own_invites: parts.ownInvites(),
    tenants: parts.tenants.all().length,
    tenant_deliveries: await allDeliveriesJson(parts),
    policy: await guardJson(parts.guard, parts.clock.now()),
  };
}

/** Nobody owns these in the public DNS (RFC 6761, 6762, 8375, ICANN's `internal`): no web page has such a name. */
const PRIVATE = /(?:^|\.)(?:localhost|local|internal|home\.arpa|test)$/;

/**
 * Refuses requests with another owner's name in `Host`. A web page in the operator's browser may point its own name
 * here (DNS rebinding) to read the answers. Addresses, and names without a dot such as a container's, pass.
 * @param own names of this machine and of the listener
 * @throws EmissaryError `forbidden`
 */
export function requireOwnHost({ headers }: Pick<FastifyRequest, "headers">, own: readonly string[]): void {
  const name = nameIn(headers.host ?? "");
  if (!name.includes(".") || isIP(name) !== 0 || PRIVATE.test(name)) return;
  if (own.some((other) => other.toLowerCase() === name)) return;
  throw new EmissaryError(
    "forbidden",
    `${JSON.stringify(name)} is not a name of this listener: ask it by its address, or send admin.token, with which every name is good.`,
  );
}

/** Removes the port, brackets and a final dot. */
function nameIn(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d*$/, "")).toLowerCase().replace(/\.$/, "");
}
