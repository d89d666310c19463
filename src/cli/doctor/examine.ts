import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { Config } from "../../platform/config/config.ts";
import type { Source } from "../../platform/config/load.ts";
import { isForeseen } from "../exit.ts";
import { CHECKS, CONFIGURATION, PUBLIC } from "./checks.ts";
import { openContext, type Check, type Context } from "./context.ts";
import { findingsOf, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";
import { publicUrlCheck } from "./public.ts";

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
  return findingsOf(name).skipped("the configuration has to be right first");
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
