import type { DeliveryReport, Stuck } from "../tenants/delivery/delivery.ts";
import { EmissaryError } from "../model/errors.ts";
import { isEventId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { AdminParts } from "./admin.ts";
import type { TenantAnswer } from "./api/tenants.ts";
import type { Handler, Handlers } from "./handlers.ts";
import type { AdminEndpoints } from "./api/endpoints.ts";

type Delivery = NonNullable<TenantAnswer["delivery"]>;

export function tenantDeliveryHandlers(
  parts: AdminParts,
): Handlers<"tenantPause" | "tenantResume" | "tenantReplay" | "tenantSkip" | "tenantPing"> {
  const pausing =
    (isPaused: boolean): Handler<AdminEndpoints["tenantPause"]> =>
    async ({ params }) => {
      const { id, pausedAt } = await parts.tenants.pause(params.id, isPaused);
      return { tenant: id, paused_at: pausedAt };
    };
  return {
    tenantPause: pausing(true),
    tenantResume: pausing(false),
    async tenantReplay({ params, body }) {
      const tenant = reachable(parts, params.id);
      const replayed = await parts.deliveries.replay(
        tenant,
        "from_seq" in body ? { seq: body.from_seq } : { at: body.from_at },
      );
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
    async tenantSkip({ params, body: { event_id: eventId } }) {
      const tenant = reachable(parts, params.id);
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
    async tenantPing({ params }) {
      const outcome = await parts.pinger.ping(reachable(parts, params.id), null);
      if (outcome.ok) return { ok: true, ms: outcome.ms };
      const { why, status, sentence } = outcome;
      return { ok: false, why, status, sentence };
    },
  };
}

/** Returns a tenant's deliveries in the API's form; null for a tenant without a URL. */
export async function deliveryJson(
  { deliveries }: Pick<AdminParts, "deliveries">,
  tenant: Tenant,
): Promise<Delivery | null> {
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

function stuckJson({ seq, eventId, roomId, type, bytes, since }: Stuck): NonNullable<Delivery["stuck"]> {
  return { seq, event_id: eventId, room_id: roomId, type, bytes, since };
}

export async function allDeliveriesJson(
  parts: AdminParts,
): Promise<readonly (Delivery & { readonly tenant: string })[]> {
  const all = await Promise.all(
    parts.tenants.all().map(async (tenant) => ({ tenant: tenant.id, delivery: await deliveryJson(parts, tenant) })),
  );
  return all.flatMap(({ tenant, delivery }) => (delivery === null ? [] : [{ tenant, ...delivery }]));
}

function stateOf({ pausedAt }: Tenant, { isFailing, stuck }: DeliveryReport): Delivery["state"] {
  if (pausedAt !== null) return "paused";
  if (stuck !== null) return "stuck";
  return isFailing ? "failing" : "flowing";
}

/** Returns the tenant that a path names. It must have a URL. */
function reachable(parts: AdminParts, id: string): Tenant {
  const tenant = parts.tenants.byId(id);
  if (tenant === null) throw new EmissaryError("not-found", "There is no such tenant.");
  if (tenant.url === null) {
    throw new EmissaryError("bad-request", `The tenant ${tenant.id} has no URL: it fetches its events itself.`);
  }
  return tenant;
}
