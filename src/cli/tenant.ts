import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { DeepReadonly } from "../admin/api/endpoint.ts";
import type { TenantAnswer as Tenant } from "../admin/api/tenants.ts";
import { isJsonObject } from "../model/json.ts";
import { TENANT_ACTIONS } from "../model/tenant.ts";
import { readYaml } from "../platform/config/files.ts";
import { renderRegistration, type Registration } from "../platform/registration.ts";
import { adminClient, configPath, says, shows } from "./admin-client.ts";
import { CommandFailed, EXIT, type Io } from "./io.ts";
import { coversOrdinaryUsers, reserveTenant } from "./reserved.ts";
import { facts, known, listing, moment, neutral, type ColumnOf } from "./text.ts";
import {
  addTenantAllow,
  actionsIn,
  checkedId,
  grantsInShort,
  grantTexts,
  overlapTexts,
  pinTexts,
} from "./tenant-grants.ts";
import { addTenantDelivery, deliveryFacts, tellPing } from "./tenant-delivery.ts";
import { addTenantSet, bytesOf, CA, checkedSettings, MAX_TRANSACTION, type SettingOptions } from "./tenant-set.ts";
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

  shows(
    group.command("list").description("list the tenants"),
    io,
    async (daemon) => (await daemon().call("tenants")).tenants,
    (tenants) => listing(COLUMNS, tenants, io.width),
    "No tenants. `emissary tenant add ID` adds one.",
  );
  shows(
    group.command("show").description("show one tenant").argument("<id>"),
    io,
    (daemon, _, id) => daemon().call("tenant", { params: { id: checkedId(id) } }),
    render,
  );

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

  says(
    group.command("remove").description("remove a tenant, its tokens and its leases").argument("<id>"),
    io,
    async (daemon, _, id = "") => {
      const { leases_ended: ended } = await daemon().call("tenantRemove", { params: { id: checkedId(id) } });
      return `Removed the tenant ${id}; ${ended} of its leases ended.`;
    },
  );
}

async function handOver(registration: DeepReadonly<Registration>, out: string | undefined, io: Io): Promise<void> {
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

const COLUMNS: readonly ColumnOf<Tenant>[] = [
  { title: "TENANT", whole: true, of: ({ id }) => id },
  { title: "SENDER", whole: true, of: ({ sender }) => sender },
  { title: "LEASES", right: true, of: ({ leases }) => leases },
  { title: "MAY", of: ({ grants }) => grantsInShort(grants) },
  { title: "PERSONAS", of: ({ users }) => users },
  { title: "URL", of: ({ url }) => url },
];

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
    ...known("transactions", answer.max_transaction && `${answer.max_transaction} bytes at most`),
    ...known("vouched for", answer.ca && "by its own authority (--ca)"),
    ["leases", answer.leases],
    ["added", moment(answer.created_at)],
    ...known("missed", answer.sync_anew && missedText(answer.sync_anew)),
    ...deliveryFacts(answer),
  ]);
}

/** Says that the tenant's `/sync` could not continue from its token. */
function missedText({ at, why }: NonNullable<Tenant["sync_anew"]>): string {
  const cause = why === "restored" ? "a backup was restored since" : "the journal no longer goes back so far";
  return `its sync began anew at ${moment(at)}: ${cause}, and what came after its token is lost to it`;
}
