import { type Command, InvalidArgumentError } from "commander";
import type { StatusAnswer, AuditAnswer } from "../admin/api/daemon.ts";
import { allPages, shows } from "./admin-client.ts";
import type { Io } from "./io.ts";
import { guardLines } from "./policy.ts";
import { facts, known, listing, moment, neutral, spoken, type ColumnOf } from "./text.ts";
import { deliveryLines } from "./tenant-delivery.ts";

export function addStatus(program: Command, io: Io): void {
  const command = program.command("status").description("show how the running daemon is doing");
  shows(command, io, (daemon) => daemon().call("status"), render);
}

function render(status: StatusAnswer): string {
  const { homeserver, rooms, leases, journal, intake } = status;
  const { present, joining, leaving, refused, loading } = rooms;
  const last = intake.last_at === null ? "none yet" : `the last at ${moment(intake.last_at)}`;
  return facts([
    ["daemon", `Emissary ${status.version}, up ${spoken(status.uptime_ms)}`],
    ["ready", status.ready ? "yes" : `no: ${status.not_ready_because ?? "not said why"}`],
    ...known("database", status.restored && restoredText(status.restored)),
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

function restoredText({ written_until: from, lost_until: lost }: NonNullable<StatusAnswer["restored"]>): string {
  const written = from === null ? "" : ` It was last written at ${moment(from)}`;
  const until = from === null || lost === null ? "" : `; what came from then until ${moment(lost)} is lost`;
  return `restored: it is not the one that ran here before.${written}${until}`;
}

function deliverySentence({ state, since, cause }: StatusAnswer["delivery"]): string {
  if (state === "flowing" || since === null) return neutral(state);
  const word = cause === null ? "it can reach us" : `it cannot reach us: ${neutral(cause)}`;
  return `${neutral(state)}: the homeserver has not sent what happened in rooms since ${moment(since)}; ${word}`;
}

function laggingSentence({
  consumer,
  events_behind,
  unread_since,
}: StatusAnswer["journal"]["held_by"][number]): string {
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

const AUDIT: readonly ColumnOf<AuditAnswer>[] = [
  { title: "AT", whole: true, of: ({ at }) => moment(at) },
  { title: "ACTOR", of: ({ actor }) => actor },
  { title: "ACTION", whole: true, of: ({ action }) => action },
  { title: "OUTCOME", whole: true, of: ({ outcome }) => outcome },
  { title: "ROOM", whole: true, of: ({ room_id }) => room_id },
  { title: "DETAIL", of: ({ detail }) => detailText(detail) },
];

export function addAudit(program: Command, io: Io): void {
  shows<readonly AuditAnswer[], { limit: number }>(
    program
      .command("audit")
      .description("show what was done or refused on whose behalf, the newest first")
      .option("--limit <number>", "how many entries", countOf, 50),
    io,
    (daemon, { limit }) => {
      const client = daemon();
      let left = limit;
      return allPages(async (before: number | null) => {
        const page = await client.call("audit", { query: { limit: Math.min(left, PAGE), before } });
        const items = page.entries.slice(0, left);
        left -= items.length;
        return { items, next: left === 0 ? null : page.next };
      });
    },
    (entries) => listing(AUDIT, entries, io.width),
    "Nothing was done yet.",
  );
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
