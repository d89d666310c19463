import type { Command } from "commander";
import type { AliasAnswer as Alias } from "../admin/api/aliases.ts";
import { sentenceOf } from "../model/errors.ts";
import { adminClient, allPages, type AdminClient } from "./admin-client.ts";
import { CommandFailed, EXIT, isForeseen, wrongUsage, jsonText, type Io } from "./io.ts";
import { listing, type ColumnOf, moment, neutral } from "./text.ts";

const PAGE = 100;

interface Flags {
  json?: true;
  repair?: true;
  sweep?: true;
  yes?: true;
}

export function addAliases(program: Command, io: Io): void {
  program
    .command("aliases")
    .description("list the aliases of this server, and how the rooms stand that they point to")
    .option("--json", "print JSON")
    .option("--repair", "point aliases of dead rooms elsewhere, or remove them; asks for each")
    .option("--yes", "with --repair: do not ask")
    .option("--sweep", "have all aliases looked at now")
    .action(async ({ json, repair, sweep, yes }: Flags, command: Command) => {
      if ([json, repair, sweep].filter(Boolean).length > 1) {
        throw wrongUsage("--json, --repair and --sweep are for one call each");
      }
      if (yes && !repair) throw wrongUsage("--yes belongs to --repair");
      const client = adminClient(command, io);
      if (sweep) {
        await client.call("aliasSweep");
        io.out("All aliases are being looked at; `emissary aliases` shows how they stand.");
        return;
      }
      const { keep, list } = await listOf(client);
      if (repair) await repairAll(client, list, yes === true, io);
      else if (json) io.out(jsonText(list));
      else show(list, keep, io);
    });
}

async function listOf(client: AdminClient): Promise<{ readonly keep: boolean; readonly list: readonly Alias[] }> {
  let keep = true;
  const list = await allPages(async (after: string | null) => {
    const page = await client.call("aliases", { query: { limit: PAGE, after } });
    keep = page.keep;
    return { items: page.aliases, next: page.next };
  });
  return { keep, list };
}

const COLUMNS: readonly ColumnOf<Alias>[] = [
  { title: "ALIAS", whole: true, of: ({ alias }) => alias },
  { title: "ROOM", whole: true, of: ({ room_id }) => room_id },
  { title: "STATE", whole: true, of: ({ state, empty_since: empty }) => (empty === null ? state : `${state}, empty`) },
  { title: "SINCE", whole: true, of: ({ since }) => moment(since) },
  { title: "WHY NOT", of: ({ reason, code }) => (reason && code ? `${reason} (${code})` : (reason ?? code)) },
];

function show(list: readonly Alias[], keep: boolean, io: Io): void {
  if (!keep) io.err("aliases.keep is false: nothing is done for aliases, and this is how they stood.");
  if (list.length === 0) {
    io.err("No aliases are known. `emissary aliases --sweep` has them looked for.");
    return;
  }
  io.out(listing(COLUMNS, list, io.width));
  for (const { alias, advice } of list) if (advice !== null) io.err(neutral(`${alias}: ${advice}`));
}

async function repairAll(client: AdminClient, list: readonly Alias[], yes: boolean, io: Io): Promise<void> {
  const broken = list.filter(({ repair }) => repair !== null);
  if (broken.length === 0) {
    io.out("No alias needs a repair that can be made from here.");
    return;
  }
  for (const alias of broken) io.err(neutral(proposal(alias)));
  const { converse } = io;
  if (!yes && converse === null) {
    throw new CommandFailed(
      EXIT.failed,
      "Nothing was changed: nobody is there to be asked. --yes makes these repairs.",
    );
  }
  const wanted = yes ? broken.filter(({ repair }) => repair?.act !== "point" || repair.by !== "named") : [];
  if (yes && wanted.length < broken.length) {
    io.err("--yes leaves those out that a room claims for itself: any room can. Run it at a terminal for these.");
  }
  if (!yes) {
    await converse?.(async (ask) => {
      for (const alias of broken) {
        const answer = await ask(neutral(`${alias.alias}: ${deed(alias)}? [y/N] `));
        if (/^y(?:es)?$/i.test(answer.trim())) wanted.push(alias);
      }
    });
  }
  let failed = 0;
  for (const alias of wanted) failed += (await isRepaired(client, alias, io)) ? 0 : 1;
  const what = failed === 1 ? "One alias is as it was." : `${failed} aliases are as they were.`;
  if (failed > 0) throw new CommandFailed(EXIT.failed, what);
}

async function isRepaired(client: AdminClient, alias: Alias, io: Io): Promise<boolean> {
  try {
    await client.call("aliasRepair", { params: { alias: alias.alias }, body: alias.repair });
    io.out(neutral(`${alias.alias}: done, ${deed(alias)}`));
    return true;
  } catch (error) {
    if (!isForeseen(error)) throw error;
    io.err(neutral(`${alias.alias}: ${sentenceOf(error)}`));
    return false;
  }
}

function proposal(alias: Alias): string {
  const { repair } = alias;
  const why =
    repair?.act !== "point"
      ? "and nothing is known that took its place"
      : repair.by === "replaced"
        ? "and its tombstone names another"
        : "and the other calls itself by the alias, which any room can do: make sure that it is the right one";
  return `${alias.alias} points to ${alias.room_id}, which is ${alias.state} (${alias.reason ?? alias.code ?? "no reason known"}), ${why}: ${deed(alias)}.`;
}

function deed({ repair }: Alias): string {
  return repair?.act === "point" ? `point it to ${repair.room_id}` : "remove it";
}
