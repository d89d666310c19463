import { type Command, InvalidArgumentError } from "commander";
import type { StatusAnswer, AuditAnswer } from "../admin/api/daemon.ts";
import { adminClient, allPages } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { guardLines } from "./policy-words.ts";
import { facts, moment, neutral, spoken, table } from "./text.ts";
import { deliveryLines } from "./tenant-delivery.ts";

type Status = StatusAnswer;
type LaggingConsumer = Status["journal"]["held_by"][number];

export function addStatus(program: Command, io: Io): void {
  program
    .command("status")
    .description("show how the running daemon is doing")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }, command: Command) => {
      const status = await adminClient(command, io).call("status");
      if (options.json) outJson(io, status);
      else io.out(render(status));
    });
}

function render(status: Status): string {
  const { homeserver, rooms, leases, journal, intake } = status;
  const { present, joining, leaving, refused, loading } = rooms;
  const last = intake.last_at === null ? "none yet" : `the last at ${moment(intake.last_at)}`;
  return facts([
    ["daemon", `Emissary ${status.version}, up ${spoken(status.uptime_ms)}`],
    ["ready", status.ready ? "yes" : `no: ${status.not_ready_because ?? "not said why"}`],
    ...restoredLines(status.restored),
    ["pseudouser", status.pseudouser],
    ["homeserver", `${homeserver.server_name} at ${homeserver.url}`],
    ["rooms", counts({ present, joining, leaving, refused, "still loading": loading })],
    ["leases", counts(leases)],
    ["own invites", status.own_invites],
    ["tenants", status.tenants],
    ...deliveryLines(status.tenant_deliveries),
    ...guardLines(status.policy),
    ["journal", journal.last_seq === null ? "empty" : `${journal.first_seq ?? "?"} to ${journal.last_seq}`],
    ...journal.held_by.map((consumer): [string, string] => ["journal held", laggingSentence(consumer)]),
    ["transactions", `${intake.transactions}, ${last}`],
    ["delivery", deliverySentence(status.delivery)],
    [
      "events",
      counts({
        received: intake.events,
        repeated: intake.duplicates,
        "set aside": intake.set_aside,
        late: intake.late,
      }),
    ],
  ]);
}

function restoredLines(restored: Status["restored"]): readonly [string, string][] {
  if (restored === null) return [];
  const { written_until: from, lost_until: lost } = restored;
  const written = from === null ? "" : ` It was last written at ${moment(from)}`;
  const until = from === null || lost === null ? "" : `; what came from then until ${moment(lost)} is lost`;
  return [["database", `restored: it is not the one that ran here before.${written}${until}`]];
}

function deliverySentence({ state, since, cause }: Status["delivery"]): string {
  if (state === "flowing" || since === null) return neutral(state);
  const word = cause === null ? "it can reach us" : `it cannot reach us: ${neutral(cause)}`;
  return `${neutral(state)}: the homeserver has not sent what happened in rooms since ${moment(since)}; ${word}`;
}

function laggingSentence({ consumer, events_behind, unread_since }: LaggingConsumer): string {
  return (
    `WARNING: ${neutral(consumer)} is ${events_behind} events behind, since ${moment(unread_since)}, ` +
    "and so the journal outgrows its limits. Get it to read again, or remove it."
  );
}

function counts(of: Readonly<Record<string, number>>): string {
  const parts = Object.entries(of).map(([name, count]) => `${count} ${name}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

const PAGE = 500;

const COLUMNS = [
  { title: "AT", whole: true },
  { title: "ACTOR" },
  { title: "ACTION", whole: true },
  { title: "OUTCOME", whole: true },
  { title: "ROOM", whole: true },
  { title: "DETAIL" },
];

export function addAudit(program: Command, io: Io): void {
  program
    .command("audit")
    .description("show what was done or refused on whose behalf, the newest first")
    .option("--limit <number>", "how many entries", countOf, 50)
    .option("--json", "print JSON")
    .action(async ({ limit, json }: { limit: number; json?: true }, command: Command) => {
      const client = adminClient(command, io);
      let left = limit;
      const entries = await allPages(async (before: number | null) => {
        const query = { limit: Math.min(left, PAGE), before };
        const page = await client.call("audit", { query });
        const items = page.entries.slice(0, left);
        left -= items.length;
        return { items, next: left === 0 ? null : page.next };
      });
      if (json) outJson(io, entries);
      else if (entries.length === 0) io.err("Nothing was done yet.");
      else io.out(auditTable(entries, io.width));
    });
}

function auditTable(entries: readonly AuditAnswer[], width: number | null): string {
  const rows = entries.map(({ at, actor, action, outcome, room_id, detail }) => [
    moment(at),
    actor,
    action,
    outcome,
    room_id,
    detailText(detail),
  ]);
  return table(COLUMNS, rows, width);
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d{1,6}$/.test(text) || count < 1) throw new InvalidArgumentError("Expected a whole number from 1 to 999999.");
  return count;
}

function detailText(detail: unknown): string | null {
  const text = JSON.stringify(detail ?? {});
  return text === "{}" ? null : text;
}
