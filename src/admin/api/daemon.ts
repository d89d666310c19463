import { isAbsolute } from "node:path";
import { z } from "zod";
import { at, count, limitOf, maybe, orNull, text, type Endpoint, type DeepReadonly } from "./endpoint.ts";
import { POLICY_SCHEMAS } from "./policy.ts";
import { TENANT_SCHEMAS } from "./tenants.ts";

const seq = count.nullable().describe("null: there is none");

const status = z.object({
  version: text,
  pseudouser: text,
  ready: z.boolean(),
  not_ready_because: maybe,
  uptime_ms: count,
  homeserver: z.object({ url: text, server_name: text }),
  restored: z
    .object({
      written_until: at.nullable().describe("when it had been written last"),
      lost_until: at.nullable().describe("when the other one was written last"),
    })
    .nullable()
    .describe("not null: the database is not the one that ran here before this start"),
  rooms: z.object({ present: count, joining: count, leaving: count, refused: count, loading: count }),
  leases: z.record(text, count).describe("by the kind of their holders"),
  journal: z.object({
    first_seq: seq,
    last_seq: seq,
    bytes: count,
    oldest_at: at.nullable(),
    held_by: z
      .array(
        z.object({
          consumer: text,
          seq: count.describe("up to where it has read"),
          events_behind: count,
          unread_since: at,
        }),
      )
      .describe("consumers that keep more of it than its limits would"),
  }),
  audit: z.object({ entries: count, bytes: count, oldest_at: at.nullable() }),
  intake: z
    .object({
      transactions: count,
      events: count,
      duplicates: count,
      set_aside: count,
      late: count.describe("events that the homeserver did not send, and that were read back"),
      last_at: at.nullable(),
    })
    .describe("since the start"),
  last_ping: z
    .object({ transaction_id: text, at })
    .nullable()
    .describe("the newest ping of the homeserver that had an ID, since the start"),
  delivery: z
    .object({
      state: z.enum(["flowing", "silent", "stalled"]),
      since: at.nullable(),
      cause: maybe.describe("why the homeserver does not reach us"),
    })
    .describe("from the homeserver"),
  own_invites: z
    .enum(["blocked", "declined", "kept"])
    .describe(
      "what happens to invites of the pseudouser that are for no tenant: the homeserver refuses them, we decline, or nothing",
    ),
  tenants: count,
  tenant_deliveries: z.array(TENANT_SCHEMAS.DeliveryToTenant).describe("of the tenants with a URL"),
  policy: POLICY_SCHEMAS.Caps,
});
export type StatusAnswer = DeepReadonly<z.output<typeof status>>;

const auditEntry = z.object({
  id: count,
  at,
  actor: text,
  action: text,
  outcome: text.describe("`done`, or the code of the refusal"),
  room_id: maybe,
  detail: z.unknown(),
});
export type AuditAnswer = DeepReadonly<z.output<typeof auditEntry>>;

export const DAEMON_SCHEMAS = { Status: status, AuditEntry: auditEntry };

const row = { error: "`before` must be the number of a row." };

export const DAEMON_ENDPOINTS = {
  status: { method: "GET", path: "/status", note: "tells how everything stands", answer: status },
  audit: {
    method: "GET",
    path: "/audit",
    note: "lists what was done or refused on whose behalf, the newest first",
    query: z.object({
      before: orNull(z.coerce.number(row).int(row).min(0, row)).describe("`next` of the page before"),
      limit: limitOf(200),
    }),
    answer: z.object({
      entries: z.array(auditEntry),
      next: count.nullable().describe("goes into `before` for the following page; null at the end"),
    }),
  },
  backup: {
    method: "POST",
    path: "/backup",
    note: "writes a copy of the database to a new file of the daemon's machine",
    body: {
      schema: z.strictObject({
        path: text
          .max(4096)
          .refine((path) => isAbsolute(path) && !path.includes("\0"))
          .describe("absolute"),
      }),
      fault: () => "`path` must be the absolute path of a new file.",
    },
    answer: z.object({ path: text, bytes: count }),
    // A large database on a slow disk.
    patience: 60 * 60 * 1000,
  },
  openapi: {
    method: "GET",
    path: "/openapi.json",
    note: "describes this API (OpenAPI 3.1)",
    answer: z.record(text, z.unknown()),
  },
} as const satisfies Record<string, Endpoint>;
