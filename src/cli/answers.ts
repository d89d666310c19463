/** What the admin API answers. Keys that a newer daemon adds are kept, so that --json shows them. */
import { z } from "zod";

const text = z.string().nullable();
const number = z.number();

const stuck = z.looseObject({
  seq: number,
  event_id: z.string(),
  room_id: z.string(),
  type: z.string(),
  bytes: number,
  since: number,
});

const delivery = z.looseObject({
  state: z.string(),
  lag_events: number,
  oldest_at: number.nullable(),
  last_success_at: number.nullable(),
  last_error_at: number.nullable(),
  last_error: text,
  stuck: stuck.nullable(),
  paused_at: number.nullable(),
});

/** How near policy is to its caps. */
const guard = z.looseObject({
  rooms_attended: number,
  max_rooms: number,
  joins_under_way: number,
  max_joins_under_way: number,
  budgets: z.array(
    z.looseObject({
      budget: z.string(),
      joins: number,
      per_ms: number,
      levels: z.array(z.looseObject({ payer: z.string(), left: number })),
    }),
  ),
  cool_downs: z.record(z.string(), number),
});

export const statusAnswer = z.looseObject({
  version: z.string(),
  pseudouser: z.string(),
  ready: z.boolean(),
  not_ready_because: text,
  uptime_ms: number,
  restored: z.looseObject({ written_until: number.nullable(), lost_until: number.nullable() }).nullable().default(null),
  homeserver: z.looseObject({ url: z.string(), server_name: z.string() }),
  rooms: z.looseObject({ present: number, joining: number, leaving: number, refused: number, loading: number }),
  leases: z.record(z.string(), number),
  journal: z.looseObject({
    first_seq: number.nullable(),
    last_seq: number.nullable(),
    bytes: number,
    oldest_at: number.nullable(),
    held_by: z.array(z.looseObject({ consumer: z.string(), seq: number, events_behind: number, unread_since: number })),
  }),
  audit: z.looseObject({ entries: number, oldest_at: number.nullable() }),
  intake: z.looseObject({
    transactions: number,
    events: number,
    duplicates: number,
    set_aside: number,
    late: number,
    last_at: number.nullable(),
  }),
  last_ping: z.looseObject({ transaction_id: z.string(), at: number }).nullable(),
  delivery: z.looseObject({ state: z.string(), since: number.nullable(), cause: text }),
  own_invites: z.enum(["blocked", "declined", "kept"]),
  tenants: number,
  tenant_deliveries: z.array(delivery.extend({ tenant: z.string() })),
  policy: guard,
});

export const roomRow = z.looseObject({
  room_id: z.string(),
  name: text,
  canonical_alias: text,
  phase: z.string(),
  since: number.nullable(),
  own_membership: text,
  joined_members: number.nullable(),
  join_rule: text,
  history_visibility: text,
  encryption: text,
  version: text,
  load: z.string(),
  gap: z.enum(["none", "filling", "open"]),
  code: text,
  reason: text,
  leases: z.array(z.looseObject({ holder: z.string(), taken_at: number, expires_at: number.nullable() })),
});

export const roomAnswer = roomRow.extend({
  room_type: text,
  replacement: text,
  predecessor: text,
  via: z.array(z.string()),
  members: z.record(z.string(), number),
  cool_down: z.looseObject({ code: z.string(), reason: z.string(), until: number, strikes: number }).nullable(),
  invited_by: text,
});

export const roomsAnswer = z.looseObject({ rooms: z.array(roomRow), next: text });

export const joinAnswer = z.looseObject({ room_id: z.string(), phase: z.string() });

export const leaveAnswer = z.looseObject({ room_id: z.string(), released: z.boolean(), holders: z.array(z.string()) });

export const membersAnswer = z.looseObject({
  members: z.array(
    z.looseObject({
      user_id: z.string(),
      membership: z.string(),
      displayname: text,
      event_id: text,
      pseudouser: z.boolean(),
    }),
  ),
  next: text,
});

export const tenant = z.looseObject({
  id: z.string(),
  sender: z.string(),
  url: text,
  users: text,
  overlaps: z.array(z.object({ tenant: z.string(), user_id: text, theirs: z.boolean() })),
  users_fault: text.default(null),
  grants: z.array(
    z.object({
      rooms: z.array(z.string()),
      actions: z.array(z.string()),
      types: z.array(z.string()).nullable(),
      source: z.string(),
      /** Of aliases: the rooms that they stand for, null for none. */
      stands_for: z
        .array(
          z.looseObject({
            alias: z.string(),
            room_id: text,
            since: number.nullable(),
            moved_to: text,
            moved_at: number.nullable(),
          }),
        )
        .optional(),
    }),
  ),
  ephemeral: z.boolean(),
  sync_anew: z.looseObject({ at: z.number(), why: z.string() }).nullable().default(null),
  max_transaction: number.nullable(),
  ca: text,
  paused_at: z.number().nullable(),
  created_at: number,
  leases: number,
  /** Null for a tenant without a URL. */
  delivery: delivery.nullable(),
});
export type TenantAnswer = z.output<typeof tenant>;

export const tenantsAnswer = z.looseObject({ tenants: z.array(tenant) });

export const pausedAnswer = z.looseObject({ tenant: z.string(), paused_at: number.nullable() });

export const skippedAnswer = z.looseObject({ tenant: z.string(), skipped: stuck });

export const replayedAnswer = z.looseObject({ tenant: z.string(), from_seq: number });

export const pingAnswer = z.looseObject({
  ok: z.boolean(),
  status: number.nullish(),
  sentence: text.optional(),
});

export const backupAnswer = z.looseObject({ path: z.string(), bytes: number });

export const removedAnswer = z.looseObject({ removed: z.boolean(), leases_ended: number });

export const auditAnswer = z.looseObject({
  entries: z.array(
    z.looseObject({
      id: number,
      at: number,
      actor: z.string(),
      action: z.string(),
      outcome: z.string(),
      room_id: text,
      detail: z.unknown(),
    }),
  ),
  next: number.nullable(),
});

const verdict = z.enum(["allow", "deny"]);

export const policyAnswer = guard.extend({
  max_members: number,
  max_event_rate: number,
  refuse_versions: z.array(z.string()),
  own_invites: z.string(),
  lists: z.array(z.string()),
  list_rooms: z.array(
    z.looseObject({
      room_id: z.string(),
      read_at: number.nullable(),
      failures: number,
      moved_to: text.optional(),
      alias: text.optional(),
    }),
  ),
  rules: z.array(
    z.looseObject({
      source: z.string(),
      allow: number,
      deny: number,
      rules: z.array(
        z.looseObject({
          kind: z.string(),
          entity: z.string(),
          verdict,
          reason: text,
          stands_for: text.optional(),
          moved: z.boolean().optional(),
          moved_to: text.optional(),
        }),
      ),
      set_aside: number.default(0),
    }),
  ),
});

export const explainAnswer = z.looseObject({
  room_id: z.string(),
  alias: text,
  for: z.string(),
  verdict: z.looseObject({
    allowed: z.boolean(),
    code: z.string(),
    reason: z.string(),
    retry_after_ms: number.nullable(),
  }),
  rules: z.array(
    z.looseObject({
      code: z.string(),
      verdict: z.string(),
      reason: z.string(),
      inputs: z.record(z.string(), z.unknown()),
    }),
  ),
});

export const ruleSetAnswer = z.looseObject({ outcome: z.string(), stands_for: z.string().optional() });

export const ruleRemovedAnswer = z.looseObject({ removed: z.boolean() });

export const upgradeCheckAnswer = z.looseObject({
  room_id: z.string(),
  standing: z.string(),
  notes: z.array(z.looseObject({ topic: z.string(), now: z.string(), then: z.string() })),
  today: z.array(z.string()),
});

export const aliasesAnswer = z.looseObject({
  keep: z.boolean(),
  sweep: z.looseObject({
    running: z.boolean(),
    finished_at: number.nullable(),
    failure: text,
    next_at: number.nullable(),
  }),
  aliases: z.array(
    z.looseObject({
      alias: z.string(),
      room_id: z.string(),
      state: z.string(),
      code: text,
      reason: text,
      since: number,
      checked_at: number,
      empty_since: number.nullable(),
      repair: z
        .discriminatedUnion("act", [
          z.object({ act: z.literal("point"), room_id: z.string(), by: z.string() }),
          z.object({ act: z.literal("remove") }),
        ])
        .nullable(),
      advice: text,
    }),
  ),
  next: text,
});

export const aliasSweepAnswer = z.looseObject({ sweeping: z.boolean() });

export const aliasRepairedAnswer = z.looseObject({ alias: z.string(), done: z.boolean() });
