import { namespace, pseudouser, clock, homeserver, homeserverVersion, roomSummary } from "./homeserver.ts";
import { address, daemon, delivery, instances, tenants } from "./daemon.ts";
import {
  type Check,
  openContext,
  type Context,
  findingsOf,
  type Finding,
  type Machine,
  type Level,
} from "./context.ts";
import { database, disk, fileModes } from "./database.ts";
import { rateLimits, registration, watchedNamespaces, reservedNamespaces } from "./registration.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { Config } from "../../platform/config/config.ts";
import type { Source } from "../../platform/config/load.ts";
import { isForeseen } from "../io.ts";
import { publicUrlCheck } from "./public.ts";
import { neutral } from "../text.ts";

/** The first check: all others need what it reads. */
export const CONFIGURATION = "configuration";

/** The check that runs only if an address is given. */
export const PUBLIC = "public-url";

/** All other checks, from local ones to those that need both sides. Output and manual have this order. */
export const CHECKS: Readonly<Record<string, Check>> = {
  "file-modes": fileModes,
  database,
  disk,
  homeserver,
  "homeserver-version": homeserverVersion,
  clock,
  registration,
  "rate-limits": rateLimits,
  "watched-namespaces": watchedNamespaces,
  "reserved-namespaces": reservedNamespaces,
  namespace,
  pseudouser,
  "room-summary": roomSummary,
  daemon,
  instances,
  address,
  delivery,
  tenants,
};

const aboutConfiguration = findingsOf(CONFIGURATION);

/**
 * Runs all checks and returns one finding for each, in their order. No finding contains a secret.
 * @param publicUrl the address that clients use; null to skip its check
 */
export async function examine(source: Source, machine: Machine, publicUrl: string | null = null): Promise<Finding[]> {
  const checks = Object.entries({ ...CHECKS, ...(publicUrl === null ? {} : { [PUBLIC]: publicUrlCheck(publicUrl) }) });
  let context: Context;
  try {
    context = openContext(source, machine);
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    return [unusable(error.message), ...checks.map(([name]) => untried(name))];
  }
  try {
    const findings = [aboutConfiguration.ok(`${source.path} and the registration are sound and agree`)];
    for (const [name, check] of checks) findings.push(await tried(name, check, context));
    return findings.map((finding) => withoutSecrets(finding, context.config));
  } finally {
    await context.asker.close();
  }
}

function unusable(message: string): Finding {
  return aboutConfiguration.failure({
    what: message,
    why: "A file is missing, or was edited by hand.",
    do: "Correct what is named. config.sample.yaml shows every key; emissary register --force writes both files anew and keeps the rest.",
  });
}

function untried(name: string): Finding {
  return findingsOf(name).skipped("the configuration must be correct first");
}

/** Turns a check's exception into a finding, so that it does not hide the other findings. */
async function tried(name: string, check: Check, context: Context): Promise<Finding> {
  try {
    return await check(context, findingsOf(name));
  } catch (error) {
    if (!isForeseen(error)) throw error;
    return findingsOf(name).skipped(`it could not be tried: ${sentenceOf(error)}`);
  }
}

/**
 * Removes secrets from a finding. Quoted programs may repeat what they received: older Synapses put tokens into URLs.
 */
function withoutSecrets(finding: Finding, config: Config): Finding {
  const { registration, admin } = config;
  // A token of a few letters is no secret, and would occur in every other word.
  const secrets = [registration.asToken, registration.hsToken, admin.token].filter(({ length }) => length >= 8);
  const clean = (text: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
  return {
    ...finding,
    what: clean(finding.what),
    why: finding.why === null ? null : clean(finding.why),
    do: finding.do === null ? null : clean(finding.do),
  };
}

const LEVELS: readonly Level[] = ["failure", "warning", "skipped", "ok"];
const MARKS: Readonly<Record<Level, string>> = { ok: "ok", warning: "WARNING", failure: "FAILURE", skipped: "skipped" };
const MARK_WIDTH = 9;

/** Formats findings: one line for `ok` and `skipped`, a paragraph for a problem. */
export function report(findings: readonly Finding[]): string {
  const widest = Math.max(...findings.map(({ check }) => check.length));
  return findings.map((finding) => paragraph(finding, widest)).join("\n");
}

function paragraph(finding: Finding, widest: number): string {
  const { level, check, what, why, do: remedy, read } = finding;
  const head = `${MARKS[level].padEnd(MARK_WIDTH)}${check.padEnd(widest)}  `;
  if (level === "ok") return `${head}${lines(what)}`;
  if (level === "skipped") return `${head}${lines(why ?? what)}`;
  const rest = [
    ["Probably why", why],
    ["Do", remedy],
    ["Read", read],
  ].map(([name, text]) => `${" ".repeat(MARK_WIDTH)}${name ?? ""}: ${lines(text ?? "")}`);
  return [`${head}${lines(what)}`, ...rest].join("\n");
}

/** Keeps the lines of a list of mistakes in the configuration; escapes everything else that acts on a terminal. */
function lines(text: string): string {
  return text
    .split("\n")
    .map(neutral)
    .join(`\n${" ".repeat(MARK_WIDTH)}`);
}

/** `2 failures, 1 skipped, 13 ok`. */
export function summary(findings: readonly Finding[]): string {
  const counts = LEVELS.map((level) => ({ level, count: findings.filter((one) => one.level === level).length }));
  return counts
    .filter(({ count }) => count > 0)
    .map(({ level, count }) => `${count} ${level === "ok" || level === "skipped" || count === 1 ? level : `${level}s`}`)
    .join(", ");
}
