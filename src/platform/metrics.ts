import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/** What is counted. Labels never carry a room, a user or a tenant. */
export interface Metrics {
  readonly registry: Registry;
  readonly transactions: Counter;
  readonly events: Counter<"outcome">;
  readonly ephemeral: Counter;
  readonly roomsDoubted: Counter;
  readonly repaired: Counter<"what">;
  readonly deliveryStalled: Gauge;
  readonly actRequests: Counter<"outcome">;
  readonly rooms: Gauge<"phase">;
  readonly leases: Gauge<"kind">;
  readonly journalEnd: Gauge;
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
    repaired: new Counter({
      registers,
      name: "emissary_repaired_total",
      help: "Differences between the ledger and the homeserver that were put right: rooms unknown, rooms gone, rows of rooms",
      labelNames: ["what"],
    }),
    deliveryStalled: new Gauge({
      registers,
      name: "emissary_delivery_stalled",
      help: "1 while things happen in rooms and the homeserver does not send them, else 0",
    }),
    actRequests: new Counter({
      registers,
      name: "emissary_act_requests_total",
      help: "Requests of tenants: passed to the homeserver, answered here, or refused",
      labelNames: ["outcome"],
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
  };
}
