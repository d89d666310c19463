import { InvalidArgumentError, type Command } from "commander";
import type { AuditAnswer } from "../admin/api/daemon.ts";
import { adminClient, allPages } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { table } from "./table.ts";
import { moment } from "./text.ts";

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
