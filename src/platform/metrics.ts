import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/**
 * What is counted. Labels never carry a room or a user, of which there is no end and which are nobody's business; a tenant they may
 * carry: there are few, the operator has named them, and which of them lags is what is asked.
 */
export interface Metrics {
  readonly registry: Registry;
  readonly transactions: Counter;
  readonly events: Counter<"outcome">;
  readonly ephemeral: Counter;
  readonly roomsDoubted: Counter;
  readonly repaired: Counter<"what">;
  readonly lateEvents: Counter;
  readonly ownInvites: Counter<"outcome">;
  readonly roomsForgotten: Counter;
  readonly deliveryStalled: Gauge;
  readonly actRequests: Counter<"outcome">;
  readonly peekRequests: Counter<"outcome">;
  readonly noPlace: Counter<"who" | "kind">;
  readonly cutOff: Counter<"listener" | "body">;
  readonly tenantTransactions: Counter<"tenant" | "outcome">;
  readonly tenantEphemeralDropped: Counter<"tenant">;
  readonly tenantLag: Gauge<"tenant">;
  readonly tenantOldestAge: Gauge<"tenant">;
  readonly tenantStuck: Gauge<"tenant">;
  readonly policyRefusals: Counter<"code" | "holder">;
  readonly roomsFlooded: Counter;
  readonly budgetLeft: Gauge<"budget">;
  readonly policyRules: Gauge<"source">;
  readonly coolDowns: Gauge<"code">;
  readonly rooms: Gauge<"phase">;
  readonly leases: Gauge<"kind">;
  readonly journalEnd: Gauge;
  readonly journalEvents: Gauge;
  readonly journalBytes: Gauge;
  readonly journalOldestAge: Gauge;
  readonly journalLaggards: Gauge;
  readonly auditEntries: Gauge;
  readonly auditOldestAge: Gauge;
  readonly databaseWritable: Gauge;
  readonly tenantSyncAnew: Counter<"why">;
  readonly auditLate: Gauge;
}

export function makeMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    transactions: new Counter({
      registers,
      name: "emissary_transactions_total",
      help: "Transactions that the homeserver sent",
    }),
    events: new Counter({
      registers,
      name: "emissary_events_total",
      help: "Events in them: fresh, duplicate, or set aside as malformed",
      labelNames: ["outcome"],
    }),
    ephemeral: new Counter({
      registers,
      name: "emissary_ephemeral_total",
      help: "Typing, receipts, presence and to-device messages in them",
    }),
    roomsDoubted: new Counter({
      registers,
      name: "emissary_rooms_doubted_total",
      help: "Times that a room's events did not follow on what the ledger holds, so that it was asked for again",
    }),
    ownInvites: new Counter({
      registers,
      name: "emissary_own_invites_total",
      help: "Invites of the pseudouser: declined, not declined by the homeserver, or left unanswered",
      labelNames: ["outcome"],
    }),
    roomsForgotten: new Counter({
      registers,
      name: "emissary_rooms_forgotten_total",
      help: "Rooms that nobody wanted any more and that were removed",
    }),
    repaired: new Counter({
      registers,
      name: "emissary_repaired_total",
      help: "Differences between the ledger and the homeserver that were put right: rooms unknown, rooms gone, rows of rooms",
      labelNames: ["what"],
    }),
    lateEvents: new Counter({
      registers,
      name: "emissary_late_events_total",
      help: "Events that the homeserver lost on their way to us, and that were read back and delivered late",
    }),
    deliveryStalled: new Gauge({
      registers,
      name: "emissary_delivery_stalled",
      help: "1 while things happen in rooms and the homeserver does not send them, else 0",
    }),
    noPlace: new Counter({
      registers,
      name: "emissary_no_place_total",
      help: "Requests that got no place, or no memory, because too many of their kind were under way",
      labelNames: ["who", "kind"],
    }),
    cutOff: new Counter({
      registers,
      name: "emissary_cut_off_total",
      help: "Connections that were cut off because a body was sent, or taken, too slowly",
      labelNames: ["listener", "body"],
    }),
    peekRequests: new Counter({
      registers,
      name: "emissary_peek_requests_total",
      help: "Reads of users: passed to the homeserver, opened by the pseudouser's coming, or refused",
      labelNames: ["outcome"],
    }),
    actRequests: new Counter({
      registers,
      name: "emissary_act_requests_total",
      help: "Requests of tenants: passed to the homeserver, answered here, or refused",
      labelNames: ["outcome"],
    }),
    tenantTransactions: new Counter({
      registers,
      name: "emissary_tenant_transactions_total",
      help: "Transactions of events that tenants were given, by whether they took them",
      labelNames: ["tenant", "outcome"],
    }),
    tenantEphemeralDropped: new Counter({
      registers,
      name: "emissary_tenant_ephemeral_dropped_total",
      help: "Typing and receipts that a tenant was not given, because it was not there or too slow",
      labelNames: ["tenant"],
    }),
    tenantLag: new Gauge({
      registers,
      name: "emissary_tenant_lag_events",
      help: "Events of the journal that the tenant's deliveries have yet to pass",
      labelNames: ["tenant"],
    }),
    tenantOldestAge: new Gauge({
      registers,
      name: "emissary_tenant_oldest_age_seconds",
      help: "How long ago the oldest of these events came",
      labelNames: ["tenant"],
    }),
    tenantStuck: new Gauge({
      registers,
      name: "emissary_tenant_stuck",
      help: "1 while one event that the tenant does not take stops its deliveries, else 0",
      labelNames: ["tenant"],
    }),
    policyRefusals: new Counter({
      registers,
      name: "emissary_policy_refusals_total",
      help: "Leases that policy refused, or ended by refusing the join, by its verdict and by the kind of holder",
      labelNames: ["code", "holder"],
    }),
    roomsFlooded: new Counter({
      registers,
      name: "emissary_rooms_flooded_total",
      help: "Rooms that sent more than policy.max_event_rate, and that the pseudouser left or the operator keeps it in",
    }),
    budgetLeft: new Gauge({
      registers,
      name: "emissary_policy_budget_left",
      help: "What part of its budget for joins the payer has left that has the least, by the kind of budget",
      labelNames: ["budget"],
    }),
    policyRules: new Gauge({
      registers,
      name: "emissary_policy_rules",
      help: "Rules that policy goes by, by their source",
      labelNames: ["source"],
    }),
    coolDowns: new Gauge({
      registers,
      name: "emissary_cool_downs",
      help: "Rooms that are kept away from for a while, by the reason",
      labelNames: ["code"],
    }),
    rooms: new Gauge({
      registers,
      name: "emissary_rooms",
      help: "Rooms by the phase of their attendance",
      labelNames: ["phase"],
    }),
    leases: new Gauge({
      registers,
      name: "emissary_leases",
      help: "Live leases by kind of holder",
      labelNames: ["kind"],
    }),
    journalEnd: new Gauge({
      registers,
      name: "emissary_journal_end",
      help: "Number of the newest event in the journal",
    }),
    journalEvents: new Gauge({
      registers,
      name: "emissary_journal_events",
      help: "Events that the journal holds",
    }),
    journalBytes: new Gauge({
      registers,
      name: "emissary_journal_bytes",
      help: "Size of the journal, measured once a minute; too small until all of it is measured after a start",
    }),
    journalOldestAge: new Gauge({
      registers,
      name: "emissary_journal_oldest_age_seconds",
      help: "How long ago the oldest of these events came",
    }),
    journalLaggards: new Gauge({
      registers,
      name: "emissary_journal_laggards",
      help: "Consumers that keep more of the journal than its limits would, by not reading it",
    }),
    auditEntries: new Gauge({
      registers,
      name: "emissary_audit_entries",
      help: "Entries that the audit holds",
    }),
    auditOldestAge: new Gauge({
      registers,
      name: "emissary_audit_oldest_age_seconds",
      help: "How long ago the oldest of these entries was written",
    }),
    databaseWritable: new Gauge({
      registers,
      name: "emissary_database_writable",
      help: "1 where the database can be written, 0 where the disk is full or fails",
    }),
    tenantSyncAnew: new Counter({
      registers,
      name: "emissary_tenant_sync_anew_total",
      help: "Syncs of tenants that began anew because what came after their token is gone: restored, or too-old",
      labelNames: ["why"],
    }),
    auditLate: new Gauge({
      registers,
      name: "emissary_audit_late_entries",
      help: "Entries of the audit that the database did not take, and that are tried again",
    }),
  };
}
