import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { isTenantId } from "../../model/ids.ts";
import { ANY_ROOM, DEFAULT_ACTIONS, TENANT_ACTIONS } from "../../model/tenant.ts";
import { faultInExpression } from "../../platform/expressions.ts";
import { registrationSchema } from "../../platform/registration.ts";
import { faultsInRooms, faultsInTypes } from "../../policy/grants.ts";
import { at, count, maybe, text, type Endpoint, type DeepReadonly } from "./endpoint.ts";

/** In bytes. One event has at most 64 KiB, and more as JSON. A smaller bound would mean one event each. */
const SMALLEST_TRANSACTION = 100_000;
const LARGEST_TRANSACTION = 4 * 1024 * 1024;
const MAX_CA = 48 * 1024;

/** Returns whether a text contains a certificate. `createSecureContext` skips what it does not understand. */
function hasCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== "";
  } catch {
    return false;
  }
}

/** A list of patterns, which `faultsIn` checks. */
function patterns(faultsIn: (patterns: readonly string[]) => string[]) {
  return z.array(text).superRefine((given, context) => {
    for (const message of faultsIn(given)) context.addIssue({ code: "custom", message: `(${message})` });
  });
}

const actions = z.array(z.enum(TENANT_ACTIONS)).min(1);

const settings = {
  url: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .describe("where it listens for transactions; null: it fetches its events itself"),
  users: text
    .min(1)
    .superRefine((users, context) => {
      const fault = faultInExpression(users);
      if (fault !== null) context.addIssue({ code: "custom", message: fault });
    })
    .nullable()
    .describe("a regular expression: the IDs of its personas"),
  ephemeral: z.boolean().describe("whether it wants typing and receipts, too"),
  max_transaction: z
    .int()
    .min(SMALLEST_TRANSACTION)
    .max(LARGEST_TRANSACTION)
    .nullable()
    .describe("bytes that a transaction with several events may have; null: as usual"),
  ca: text
    .max(MAX_CA)
    .refine(hasCertificate, "has no certificate in PEM")
    .nullable()
    .describe("certificates in PEM that alone vouch for its URL"),
};

const stuck = z.object({
  seq: count.describe("its number in the journal"),
  event_id: text,
  room_id: text,
  type: text,
  bytes: count.describe("of its transaction"),
  since: at,
});

const delivery = z.object({
  state: z.enum(["flowing", "failing", "stuck", "paused"]),
  lag_events: count.describe("events of the journal that deliveries have yet to pass"),
  oldest_at: at.nullable().describe("when the oldest of them came"),
  last_success_at: at.nullable().describe("since the start"),
  last_error_at: at.nullable().describe("since the start"),
  last_error: maybe,
  stuck: stuck.nullable().describe("the one event that the tenant does not take"),
  paused_at: at.nullable(),
});

const grant = z.object({
  rooms: z.array(text).describe("IDs, aliases and globs, or `*` for every public room"),
  actions: z.array(z.enum(TENANT_ACTIONS)),
  types: z.array(text).nullable().describe("the event types that `send`, `state` and `room-state` are for; null: all"),
  source: z.enum(["operator", "invite", "upgrade"]),
  stands_for: z
    .array(
      z.object({
        alias: text,
        room_id: maybe,
        since: at.nullable(),
        moved_to: maybe.describe("where the alias was found to point instead"),
        moved_at: at.nullable(),
      }),
    )
    .optional()
    .describe("the rooms that its aliases stand for, null for none"),
});

const tenant = z.object({
  id: text,
  sender: text.describe("the user that it takes itself for"),
  url: maybe,
  users: maybe.describe("a regular expression: the IDs of its personas"),
  grants: z.array(grant),
  overlaps: z
    .array(
      z.object({
        tenant: text,
        user_id: maybe.describe("one user of both; null where none was found and none could be ruled out"),
        theirs: z.boolean().describe("whether such users are the other's, because that was added first"),
      }),
    )
    .describe("other tenants whose namespace has users in common with its own, or may have"),
  users_fault: maybe.describe("why `users` is not read"),
  ephemeral: z.boolean(),
  max_transaction: count.nullable(),
  ca: maybe,
  paused_at: at.nullable(),
  created_at: at,
  leases: count.describe("in rooms where the pseudouser is present"),
  sync_anew: z
    .object({ at, why: text.describe("`restored` or `too-old`") })
    .nullable()
    .describe("when, since the start, its `/sync` last began anew"),
  delivery: delivery.nullable().describe("null for one without a URL"),
});
export type TenantAnswer = DeepReadonly<z.output<typeof tenant>>;

export const TENANT_SCHEMAS = {
  Tenant: tenant,
  Grant: grant,
  Delivery: delivery,
  DeliveryToTenant: delivery.extend({ tenant: text }),
  StuckEvent: stuck,
  Registration: registrationSchema,
};

/** A tenant with its tokens, which are shown only this once. */
const withRegistration = z.object({ tenant, registration: registrationSchema });
const pausing = z.object({ tenant: text, paused_at: at.nullable() });

export const TENANT_ENDPOINTS = {
  tenants: {
    method: "GET",
    path: "/tenants",
    note: "lists the tenants",
    answer: z.object({ tenants: z.array(tenant) }),
  },
  tenantAdd: {
    method: "POST",
    path: "/tenants",
    note: "adds a tenant, and tells its tokens, this once",
    body: {
      schema: z.strictObject({
        id: text.refine(
          isTenantId,
          "must begin with a letter or digit and have only lower-case letters, digits, `-`, `_` and `.`, at most 63",
        ),
        url: settings.url.default(null),
        users: settings.users.default(null),
        actions: actions.default([...DEFAULT_ACTIONS]).describe("what it may do in public rooms"),
        ephemeral: settings.ephemeral.default(false),
        max_transaction: settings.max_transaction.default(null),
        ca: settings.ca.default(null),
      }),
      fault: (issues) => `A tenant cannot be made of this: ${issues}.`,
    },
    answer: withRegistration,
  },
  tenant: { method: "GET", path: "/tenants/:id", note: "tells all of one tenant", answer: tenant },
  tenantRemove: {
    method: "DELETE",
    path: "/tenants/:id",
    note: "removes a tenant, its tokens and its leases",
    answer: z.object({ removed: z.literal(true), leases_ended: count }),
  },
  tenantSet: {
    method: "POST",
    path: "/tenants/:id/set",
    note: "changes the settings that are named",
    body: {
      schema: z.strictObject(settings).partial(),
      fault: (issues) => `This cannot be set: ${issues}.`,
    },
    answer: tenant,
  },
  tenantRotate: {
    method: "POST",
    path: "/tenants/:id/rotate",
    note: "gives it new tokens; the old ones end",
    answer: withRegistration,
  },
  tenantAllow: {
    method: "POST",
    path: "/tenants/:id/grants",
    note: "allows it something; an alias stands for the room that the directory names now, and fails where that cannot tell",
    body: {
      schema: z.strictObject({
        rooms: patterns(faultsInRooms).default([ANY_ROOM]),
        actions: actions.default([...DEFAULT_ACTIONS]).transform((given) => [...new Set(given)]),
        types: patterns(faultsInTypes).nullable().default(null),
        only: z.boolean().default(false).describe("in place of all that it may"),
      }),
      fault: (issues) => `A tenant cannot be allowed this: ${issues}.`,
    },
    answer: tenant,
  },
  tenantPause: { method: "POST", path: "/tenants/:id/pause", note: "holds its events back", answer: pausing },
  tenantResume: { method: "POST", path: "/tenants/:id/resume", note: "no longer holds them back", answer: pausing },
  tenantReplay: {
    method: "POST",
    path: "/tenants/:id/replay",
    note: "gives it its events again",
    body: {
      schema: z.union([
        z.strictObject({ from_seq: z.int().min(1).describe("a number of the journal") }),
        z.strictObject({ from_at: z.int().min(0).describe("a moment") }),
      ]),
      fault: () => "A replay begins at `from_seq`, a number, or `from_at`, milliseconds.",
    },
    answer: z.object({ tenant: text, from_seq: count }),
  },
  tenantSkip: {
    method: "POST",
    path: "/tenants/:id/skip",
    note: "goes on past the event that it is stuck at",
    body: {
      schema: z.object({ event_id: text }),
      fault: () => "`event_id` must be the event that the tenant is stuck at.",
    },
    answer: z.object({ tenant: text, skipped: stuck }),
  },
  tenantPing: {
    method: "POST",
    path: "/tenants/:id/ping",
    note: "calls it at its URL, for ten seconds at most",
    answer: z.discriminatedUnion("ok", [
      z.object({ ok: z.literal(true), ms: z.number() }),
      z.object({
        ok: z.literal(false),
        why: z.enum(["no-url", "connection-failed", "connection-timeout", "bad-status"]),
        status: count.nullable().describe("what it answered"),
        sentence: text,
      }),
    ]),
  },
} as const satisfies Record<string, Endpoint>;
