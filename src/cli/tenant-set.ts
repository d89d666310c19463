import { readFileSync } from "node:fs";
import { InvalidArgumentError, type Command } from "commander";
import { parseHttpUrl } from "../platform/config/values.ts";
import { faultInExpression } from "../platform/expressions.ts";
import { adminClient, configPath } from "./admin-client.ts";
import { wrongUsage, type Io } from "./io.ts";
import { reserveTenant } from "./reserved.ts";
import { tellPing } from "./tenant-delivery.ts";
import { checkedId } from "./tenant-grants.ts";
import { neutral } from "./text.ts";

/** From commander: `false` for the `--no-…` form. */
export interface SettingOptions {
  url?: string | false;
  users?: string | false;
  ephemeral?: boolean;
  maxTransaction?: number | false;
  ca?: string | false;
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 * 1024 };

/** Parses a number of bytes, perhaps with k or m behind it. */
export function bytesOf(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([km]?)$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined)
    throw new InvalidArgumentError("It is not a size such as 900k or 1m.");
  return Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
}

export const MAX_TRANSACTION = [
  "--max-transaction <size>",
  "bytes that a transaction with several events may have, such as 900k",
] as const;
export const CA = [
  "--ca <file>",
  "certificates in PEM that alone vouch for an https:// URL, such as those of your own authority",
] as const;

/**
 * Returns the given settings in the admin API's form.
 * @param others what is wrong with other options
 * @throws CommandFailed with everything that is wrong
 */
export function checkedSettings(
  { url, users, ephemeral, maxTransaction, ca }: SettingOptions,
  others: readonly string[] = [],
) {
  const faults: string[] = [];
  if (typeof url === "string" && parseHttpUrl(url) === null) {
    faults.push(`--url: ${JSON.stringify(url)} is no http:// or https:// address`);
  }
  const fault = typeof users === "string" ? faultInExpression(users) : null;
  if (fault !== null) faults.push(`--users: ${JSON.stringify(users)} ${fault}`);
  faults.push(...others);
  if (faults.length > 0) throw wrongUsage(faults.join("\n"));
  return {
    ...(url !== undefined && { url: url || null }),
    ...(users !== undefined && { users: users || null }),
    ...(ephemeral !== undefined && { ephemeral }),
    ...(maxTransaction !== undefined && { max_transaction: maxTransaction || null }),
    ...(ca !== undefined && { ca: ca === false ? null : readFileSync(ca, "utf8") }),
  };
}

export function addTenantSet(group: Command, io: Io): void {
  group
    .command("set")
    .description("change a tenant's settings; its leases, grants and tokens stay")
    .argument("<id>")
    .option("--url <url>", "where the tenant listens for transactions")
    .option("--no-url", "it fetches its events itself (/sync)")
    .option("--users <regex>", "the user IDs of its personas")
    .option("--no-users", "it has no personas")
    .option("--ephemeral", "it wants typing and receipts, too")
    .option("--no-ephemeral", "it wants neither")
    .option(...MAX_TRANSACTION, bytesOf)
    .option("--no-max-transaction", "transactions of the usual size")
    .option(...CA)
    .option("--no-ca", "the public authorities vouch for its URL")
    .action(async (id: string, options: SettingOptions, command: Command) => {
      const params = { id: checkedId(id) };
      const given = Object.fromEntries(
        Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === "cli"),
      );
      const body = checkedSettings(given);
      if (Object.keys(body).length === 0)
        throw wrongUsage("nothing to set: `emissary tenant set --help` lists the settings");
      const client = adminClient(command, io);
      const answer = await client.call("tenantSet", { params, body });
      io.out(`The tenant ${neutral(answer.id)} has its new settings.`);
      if ("url" in body || "users" in body || "ephemeral" in body) {
        io.err(
          "Write them into the registration file that the tenant itself loads, too: url, namespaces.users, receive_ephemeral.",
        );
      }
      if ("users" in body) await reserveTenant(answer.users, answer.sender, configPath(command), io);
      if ("url" in body || "ca" in body) await tellPing(client, io, answer);
    });
}
