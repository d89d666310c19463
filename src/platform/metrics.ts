import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/**
 * The metrics. Labels never name rooms or users, which are unbounded and private. They may name tenants, which are
 * few: the operator wants to know which one lags.
 */
export type Metrics = ReturnType<typeof makeMetrics>;

export function makeMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const of = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) => ({
    registers: [registry],
    name: `emissary_${name}`,
    help,
    labelNames,
  });
  const counter = <Label extends string = never>(name: string, help: string, ...labels: readonly Label[]) =>
    new Counter<Label>(of(name, help, labels));
  const gauge = <Label extends string = never>(name: string, help: string, ...labels: readonly Label[]) =>
    new Gauge<Label>(of(name, help, labels));
  return {
    registry,
    transactions: counter("transactions_total", "Transactions that the homeserver sent"),
    events: counter("events_total", "Events received: fresh, duplicate, or set aside as malformed", "outcome"),
    ephemeral: counter("ephemeral_total", "Typing, receipts, presence and to-device messages received"),
    gapsFound: counter(
      "rooms_doubted_total",
      "Gaps found: a room's event did not follow the ledger's state, and the room was loaded again",
    ),
    ownInvites: counter(
      "own_invites_total",
      "Invites of the pseudouser: declined, failed to decline, or left unanswered",
      "outcome",
    ),
    roomsForgotten: counter("rooms_forgotten_total", "Unused rooms removed from the ledger"),
    repaired: counter(
      "repaired_total",
      "Differences between the ledger and the homeserver that were repaired: unknown rooms, rooms gone, rows of rooms",
      "what",
    ),
    lateEvents: counter(
      "late_events_total",
      "Events lost on their way from the homeserver, then read back and delivered late",
    ),
    deliveryStalled: gauge(
      "delivery_stalled",
      "1 while rooms have new events that the homeserver does not send, else 0",
    ),
    noPlace: counter(
      "no_place_total",
      "Requests refused because too many of their kind were in progress, or held too much memory",
      "who",
      "kind",
    ),
    cutOff: counter(
      "cut_off_total",
      "Connections closed because the caller sent or read a body too slowly",
      "listener",
      "body",
    ),
    peekRequests: counter(
      "peek_requests_total",
      "Reads by users: passed to the homeserver, opened by a join of the pseudouser, or refused",
      "outcome",
    ),
    actRequests: counter(
      "act_requests_total",
      "Requests of tenants: passed to the homeserver, answered here, or refused",
      "outcome",
    ),
    tenantTransactions: counter(
      "tenant_transactions_total",
      "Transactions sent to tenants, by outcome",
      "tenant",
      "outcome",
    ),
    tenantEphemeralDropped: counter(
      "tenant_ephemeral_dropped_total",
      "Typing and receipts dropped because the tenant was unreachable or too slow",
      "tenant",
    ),
    tenantLag: gauge("tenant_lag_events", "Journal events that the tenant's deliveries have not passed yet", "tenant"),
    tenantOldestAge: gauge(
      "tenant_oldest_age_seconds",
      "Age of the oldest event that the tenant has not received",
      "tenant",
    ),
    tenantStuck: gauge(
      "tenant_stuck",
      "1 while one event that the tenant rejects blocks its deliveries, else 0",
      "tenant",
    ),
    policyRefusals: counter(
      "policy_refusals_total",
      "Leases that policy refused, or ended by refusing the join, by verdict and kind of holder",
      "code",
      "holder",
    ),
    roomsFlooded: counter(
      "rooms_flooded_total",
      "Rooms that exceeded policy.max_event_rate, whether the pseudouser left or the operator keeps it there",
    ),
    budgetLeft: gauge("policy_budget_left", "Lowest remaining fraction of any join budget, by kind", "budget"),
    policyRules: gauge("policy_rules", "Policy rules, by source", "source"),
    coolDowns: gauge("cool_downs", "Rooms that Emissary avoids for a while, by reason", "code"),
    rooms: gauge("rooms", "Rooms, by phase of attendance", "phase"),
    leases: gauge("leases", "Live leases, by kind of holder", "kind"),
    journalEnd: gauge("journal_end", "Number of the newest event in the journal"),
    journalEvents: gauge("journal_events", "Events in the journal"),
    journalBytes: gauge(
      "journal_bytes",
      "Size of the journal, measured once a minute; too low after a start until the whole journal is measured",
    ),
    journalOldestAge: gauge("journal_oldest_age_seconds", "Age of the oldest event in the journal"),
    journalLaggingConsumers: gauge("journal_laggards", "Lagging consumers that keep the journal above its limits"),
    auditEntries: gauge("audit_entries", "Entries in the audit"),
    auditOldestAge: gauge("audit_oldest_age_seconds", "Age of the oldest audit entry"),
    databaseWritable: gauge("database_writable", "1 if the database is writable, 0 if the disk is full or fails"),
    tenantSyncAnew: counter(
      "tenant_sync_anew_total",
      "Tenant syncs that started over because the events after their token are gone: restored, or too-old",
      "why",
    ),
    auditLate: gauge("audit_late_entries", "Audit entries that the database rejected and that are retried"),
  };
}
