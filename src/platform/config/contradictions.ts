import type { ServerName, UserId } from "../../model/ids.ts";
import { pseudouserOf } from "../../model/pseudouser.ts";
import { claimsUser, faultsInNamespaces, SAMPLE_TOKENS, type Registration } from "../registration.ts";
import { SAMPLE_ADMIN_TOKEN } from "./sections.ts";
import type { Config } from "./config.ts";
import { formatListen, parseHttpUrl, type ListenAddress } from "./values.ts";

/** The sections that could be read; null for one with a mistake. */
export type Parts = {
  readonly [Name in "homeserver" | "pseudouser" | "appservice" | "gateway" | "admin"]: Config[Name] | null;
} & { readonly registration: Registration | null };

const SAMPLES: ReadonlyMap<string, string> = new Map([
  ["admin.token", SAMPLE_ADMIN_TOKEN],
  ["the registration's as_token", SAMPLE_TOKENS.asToken],
  ["the registration's hs_token", SAMPLE_TOKENS.hsToken],
]);

/** Finds values that are each valid but contradict each other, and sample values that were left unchanged. */
export function contradictions(parts: Parts): string[] {
  const { appservice, gateway, admin, registration } = parts;
  const listeners = named({
    "appservice.listen": appservice?.listen,
    "gateway.listen": gateway?.listen,
    "admin.listen": admin?.listen,
  });
  const tokens = named({
    "admin.token": admin?.token,
    "the registration's as_token": registration?.as_token,
    "the registration's hs_token": registration?.hs_token,
  });
  return [
    ...pairs(listeners)
      .filter(([[, one], [, other]]) => collide(one, other))
      .map(([[key, one], [otherKey, other]]) => {
        const addresses = [...new Set([formatListen(one), formatListen(other)])].join(" and ");
        return `${key} and ${otherKey} cannot both listen on ${addresses}: give one another port`;
      }),
    ...tokens
      .filter(([key, token]) => SAMPLES.get(key) === token)
      .map(
        ([key]) =>
          `${key} is the sample's, which everybody knows: \`emissary register\` writes files with tokens of their own`,
      ),
    ...pairs(tokens)
      .filter(([[, one], [, other]]) => one === other)
      .map(([[key], [otherKey]]) => `${key} and ${otherKey} are the same: whoever holds one must not hold the other`),
    ...registrationFaults(parts),
  ];
}

function named<Value>(values: Readonly<Record<string, Value | undefined>>): [string, Value][] {
  return Object.entries(values).filter((pair): pair is [string, Value] => pair[1] !== undefined);
}

const EVERY_HOST = new Set(["0.0.0.0", "::"]);

function collide(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || EVERY_HOST.has(one.host) || EVERY_HOST.has(other.host);
}

function registrationFaults({ homeserver, pseudouser, appservice, registration }: Parts): string[] {
  if (registration === null) return [];
  const faults: string[] = [];
  if (appservice && (registration.url === null || parseHttpUrl(registration.url) !== appservice.url)) {
    const given = registration.url === null ? "null" : JSON.stringify(registration.url);
    faults.push(
      `appservice.url: ${JSON.stringify(appservice.url)}, but the registration's url is ${given}: the homeserver would send events elsewhere`,
    );
  }
  if (homeserver && pseudouser) {
    const user = pseudouserOf(homeserver.serverName, pseudouser.localpart);
    faults.push(...claimFault(registration, user, homeserver.serverName));
  }
  return faults;
}

function claimFault(registration: Registration, user: UserId, server: ServerName): string[] {
  if (claimsUser(registration, user, server)) return [];
  const faults = faultsInNamespaces(registration);
  if (faults.length > 0) return faults.map((fault) => `the registration's namespaces.users: ${fault}`);
  return [
    `the registration's namespaces.users do not match the pseudouser ${user}: the homeserver would not let Emissary act as it; \`emissary register --force\` writes one that does`,
  ];
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((one, index) => items.slice(index + 1).map((other): [T, T] => [one, other]));
}
