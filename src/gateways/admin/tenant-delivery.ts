import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { DeliveryReport, ReplayFrom, Stuck } from "../../model/delivery.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isEventId } from "../../model/ids.ts";
import { stringAt } from "../../model/json.ts";
import type { Tenant } from "../../model/tenant.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, serve } from "../../platform/http/server.ts";
import type { AdminParts } from "./admin.ts";

const replayBody = z.union([
  z.strictObject({ from_seq: z.int().min(1) }).transform((body): ReplayFrom => ({ seq: body.from_seq })),
  z.strictObject({ from_at: z.int().min(0) }).transform((body): ReplayFrom => ({ at: body.from_at })),
]);

/** What the operator does about the deliveries to a tenant's own server. */
export function tenantDeliveryRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  const pausing = (isPaused: boolean) => async (request: FastifyRequest) => {
    const { id, pausedAt } = await parts.tenants.pause(param(request, "id"), isPaused);
    return { tenant: id, paused_at: pausedAt };
  };
  serve(server, `${base}/tenants/:id/pause`, { POST: pausing(true) });
  serve(server, `${base}/tenants/:id/resume`, { POST: pausing(false) });

  serve(server, `${base}/tenants/:id/replay`, {
    POST: async (request) => {
      const tenant = reachable(parts, request);
      const body = replayBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) {
        throw new EmissaryError("bad-request", "A replay begins at `from_seq`, a number, or `from_at`, milliseconds.");
      }
      const replayed = await parts.deliveries.replay(tenant, body.data);
      switch (replayed?.kind) {
        case undefined:
          throw new EmissaryError("not-found", "The tenant was removed meanwhile.");
        case "gone":
          throw new EmissaryError(
            "bad-request",
            `The journal no longer goes back so far: its oldest event has the number ${replayed.oldest}.`,
          );
        case "not-yet":
          throw new EmissaryError(
            "bad-request",
            `There is nothing to give again: the next event that ${tenant.id} is to get has the number ${replayed.next}.`,
          );
        case "done":
          return { tenant: tenant.id, from_seq: replayed.from };
      }
    },
  });

  serve(server, `${base}/tenants/:id/skip`, {
    POST: async (request) => {
      const tenant = reachable(parts, request);
      const eventId = stringAt(await readJson(request, 64 * 1024), "event_id") ?? "";
      const skipped = isEventId(eventId) ? await parts.deliveries.skip(tenant, eventId) : null;
      if (skipped !== null) return { tenant: tenant.id, skipped: stuckJson(skipped) };
      const stuck = (await parts.deliveries.report(tenant))?.stuck ?? null;
      throw new EmissaryError(
        "bad-request",
        stuck === null
          ? `The tenant ${tenant.id} is stuck at no event that could be skipped.`
          : `The tenant ${tenant.id} is stuck at ${stuck.eventId}, and not at ${JSON.stringify(eventId)}.`,
      );
    },
  });

  serve(server, `${base}/tenants/:id/ping`, {
    POST: async (request) => {
      const outcome = await parts.pinger.ping(reachable(parts, request), null);
      if (outcome.ok) return { ok: true, ms: outcome.ms };
      const { why, status, sentence } = outcome;
      return { ok: false, why, status, sentence };
    },
  });
}

/** A tenant's deliveries as the API tells them; null for a tenant without a URL. */
export async function deliveryJson(
  { deliveries }: Pick<AdminParts, "deliveries">,
  tenant: Tenant,
): Promise<Readonly<Record<string, unknown>> | null> {
  const report = await deliveries.report(tenant);
  if (report === null) return null;
  const { lag, oldestAt, lastSuccessAt, lastFailure, stuck } = report;
  return {
    state: stateOf(tenant, report),
    lag_events: lag,
    oldest_at: oldestAt,
    last_success_at: lastSuccessAt,
    last_error_at: lastFailure?.at ?? null,
    last_error: lastFailure?.sentence ?? null,
    stuck: stuck === null ? null : stuckJson(stuck),
    paused_at: tenant.pausedAt,
  };
}

function stuckJson({ seq, eventId, roomId, type, bytes, since }: Stuck): Readonly<Record<string, unknown>> {
  return { seq, event_id: eventId, room_id: roomId, type, bytes, since };
}

/** The deliveries of all tenants, for the status. */
export async function allDeliveriesJson(parts: AdminParts): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const all = await Promise.all(
    parts.tenants.all().map(async (tenant) => ({ tenant: tenant.id, delivery: await deliveryJson(parts, tenant) })),
  );
  return all.flatMap(({ tenant, delivery }) => (delivery === null ? [] : [{ tenant, ...delivery }]));
}

type DeliveryState = "paused" | "stuck" | "failing" | "flowing";

function stateOf({ pausedAt }: Tenant, { isFailing, stuck }: DeliveryReport): DeliveryState {
  if (pausedAt !== null) return "paused";
  if (stuck !== null) return "stuck";
  return isFailing ? "failing" : "flowing";
}

/** The tenant that a path names, which has to have a URL. */
function reachable(parts: AdminParts, request: FastifyRequest): Tenant {
  const tenant = parts.tenants.byId(param(request, "id"));
  if (tenant === null) throw new EmissaryError("not-found", "There is no such tenant.");
  if (tenant.url === null) {
    throw new EmissaryError("bad-request", `The tenant ${tenant.id} has no URL: it fetches its events itself.`);
  }
  return tenant;
}
