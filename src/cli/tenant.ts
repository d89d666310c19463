import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Told } from "../admin/api/endpoint.ts";
import type { TenantAnswer as Tenant } from "../admin/api/tenants.ts";
import { isJsonObject } from "../model/json.ts";
import { TENANT_ACTIONS } from "../model/tenant.ts";
import { readYaml } from "../platform/config/yaml-file.ts";
import { renderRegistration, type Registration } from "../platform/registration.ts";
import { adminClient, configPath } from "./admin-client.ts";
import { CommandFailed, EXIT, outJson, type Io } from "./io.ts";
import { coversOrdinaryUsers, reserveTenant } from "./reserved.ts";
import { facts, table, moment, neutral } from "./text.ts";
import { addTenantAllow } from "./tenant-allow.ts";
import { addTenantDelivery, deliveryFacts, tellPing } from "./tenant-delivery.ts";
import { addTenantSet, bytesOf, CA, checkedSettings, MAX_TRANSACTION, type SettingOptions } from "./tenant-set.ts";
import { actionsIn, checkedId, grantsInShort, grantTexts, overlapTexts, pinTexts } from "./tenant-words.ts";
import { takeNewFile, writeTogether } from "./write-file.ts";

const HEADING = `Emissary's registration for one of its tenants. Load it as the appservice's registration file, and give the appservice
the address of Emissary's gateway as its homeserver's.`;

interface AddOptions extends SettingOptions {
  actions?: string;
  out?: string;
}

export function addTenant(program: Command, io: Io): void {
  const group = program
    .command("tenant")
    .description("manage the appservices and bots that act through the pseudouser");

  group
    .command("add")
    .description("add a tenant; prints its registration file, which holds its tokens and is shown this once")
    .argument("<id>", "the tenant's name: letters, digits, - _ and .")
    .option("--url <url>", "where the tenant listens for transactions")
    .option("--users <regex>", "the user IDs of its personas")
    .option("--actions <list>", `what it may do in public rooms, of ${TENANT_ACTIONS.join(",")}`)
    .option("--ephemeral", "it wants typing and receipts, too")
    .option(...MAX_TRANSACTION, bytesOf)
    .option(...CA)
    .option("--out <file>", "write the registration to a new file instead of standard output")
    .action(async (id: string, options: AddOptions, command: Command) => {
      const body = { id: checkedId(id), ...checkedOptions(options) };
      const client = adminClient(command, io);
      const file = options.out === undefined ? null : await takeNewFile(options.out);
      let answer;
      try {
        answer = await client.call("tenantAdd", { body });
      } catch (error) {
        await file?.giveUp();
        throw error;
      }
      const text = renderRegistration(answer.registration, HEADING);
      if (file === null) io.out(text.trimEnd());
      else await file.fill(text);
      io.err(`Added the tenant ${neutral(answer.tenant.id)}, which takes itself for ${neutral(answer.tenant.sender)}.`);
      sayWhere(io, options.out);
      await tellPing(client, io, answer.tenant);
      for (const text of overlapTexts(answer.tenant)) {
        io.err(`Warning: the namespace of ${neutral(answer.tenant.id)} ${neutral(text)}.`);
      }
      if (typeof body.users === "string" && coversOrdinaryUsers(body.users)) {
        io.err(
          `Warning: --users ${neutral(body.users)} does not begin with @_ and may match ordinary users, whose IDs the tenant could then use for its personas.`,
        );
      }
      await reserveTenant(answer.tenant.users, answer.tenant.sender, configPath(command), io);
    });

  group
    .command("list")
    .description("list the tenants")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }, command: Command) => {
      const { tenants } = await adminClient(command, io).call("tenants");
      if (options.json) outJson(io, tenants);
      else if (tenants.length === 0) io.err("No tenants. `emissary tenant add ID` adds one.");
      else io.out(tenantTable(tenants, io.width));
    });

  group
    .command("show")
    .description("show one tenant")
    .argument("<id>")
    .option("--json", "print JSON")
    .action(async (id: string, options: { json?: true }, command: Command) => {
      const answer = await adminClient(command, io).call("tenant", { params: { id: checkedId(id) } });
      if (options.json) outJson(io, answer);
      else io.out(render(answer));
    });

  addTenantAllow(group, io);
  addTenantSet(group, io);
  addTenantDelivery(group, io);

  group
    .command("rotate")
    .description("give a tenant new tokens; the old ones end at once")
    .argument("<id>")
    .option(
      "--out <file>",
      "write the registration to a file, new or the tenant's former one, instead of standard output",
    )
    .action(async (id: string, options: { out?: string }, command: Command) => {
      const params = { id: checkedId(id) };
      const { out } = options;
      if (out !== undefined && existsSync(out) && !isRegistrationOf(out, id)) {
        throw new CommandFailed(EXIT.failed, `${out} is not a registration of ${id} and is not overwritten.`);
      }
      const client = adminClient(command, io);
      const answer = await client.call("tenantRotate", { params });
      await handOver(answer.registration, out, io);
      io.err(`The tenant ${neutral(answer.tenant.id)} has new tokens; those it had are no longer accepted.`);
      sayWhere(io, out);
    });

  group
    .command("remove")
    .description("remove a tenant, its tokens and its leases")
    .argument("<id>")
    .action(async (id: string, _options: object, command: Command) => {
      const answer = await adminClient(command, io).call("tenantRemove", { params: { id: checkedId(id) } });
      io.out(`Removed the tenant ${id}; ${answer.leases_ended} of its leases ended.`);
    });
}

async function handOver(registration: Told<Registration>, out: string | undefined, io: Io): Promise<void> {
  const text = renderRegistration(registration, HEADING);
  if (out === undefined) {
    io.out(text.trimEnd());
    return;
  }
  try {
    await writeTogether([{ path: out, text }], io.random);
  } catch (error) {
    // The old tokens are gone and these are shown only once: better on the screen than lost.
    io.out(text.trimEnd());
    throw error;
  }
}

function sayWhere(io: Io, out: string | undefined): void {
  const where = out === undefined ? "the registration above" : out;
  io.err(`Load ${where} in the appservice, and set its homeserver address to the gateway (gateway.listen).`);
}

function checkedOptions(options: AddOptions) {
  const { actions } = options;
  const list = actions === undefined ? null : actionsIn(actions);
  const given = checkedSettings(options, list?.fault == null ? [] : [`--actions: ${list.fault}`]);
  return { ...given, ...(list && { actions: list.actions }) };
}

function isRegistrationOf(path: string, id: string): boolean {
  const file = readYaml(path);
  return isJsonObject(file) && file["id"] === id && "as_token" in file;
}

function tenantTable(tenants: readonly Tenant[], width: number | null): string {
  const columns = [
    { title: "TENANT", whole: true },
    { title: "SENDER", whole: true },
    { title: "LEASES", right: true },
    { title: "MAY" },
    { title: "PERSONAS" },
    { title: "URL" },
  ];
  const rows = tenants.map(({ id, sender, leases, grants, users, url }) => [
    id,
    sender,
    leases,
    grantsInShort(grants),
    users,
    url,
  ]);
  return table(columns, rows, width);
}

function render(answer: Tenant): string {
  return facts([
    ["tenant", answer.id],
    ["sender", answer.sender],
    ["url", answer.url],
    [
      "personas",
      answer.users_fault === null ? answer.users : `none: ${JSON.stringify(answer.users)} ${answer.users_fault}`,
    ],
    ...overlapTexts(answer).map((text) => ["", neutral(text)] as const),
    ...grantTexts(answer.grants).map((text, index) => [index === 0 ? "may" : "", text] as const),
    ...pinTexts(answer.id, answer.grants).map((text, index) => [index === 0 ? "aliases" : "", text] as const),
    ...(answer.max_transaction === null ? [] : [["transactions", `${answer.max_transaction} bytes at most`] as const]),
    ...(answer.ca === null ? [] : [["vouched for", "by its own authority (--ca)"] as const]),
    ["leases", answer.leases],
    ["added", moment(answer.created_at)],
    ...syncAnewLines(answer.sync_anew),
    ...deliveryFacts(answer),
  ]);
}

/** Tells that the tenant's `/sync` could not continue from its token. */
function syncAnewLines(anew: Tenant["sync_anew"]): readonly [string, string][] {
  if (anew === null) return [];
  const why = anew.why === "restored" ? "a backup was restored since" : "the journal no longer goes back so far";
  return [["missed", `its sync began anew at ${moment(anew.at)}: ${why}, and what came after its token is lost to it`]];
}
