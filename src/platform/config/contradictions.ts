import type { ServerName, UserId } from "../../model/ids.ts";
import { pseudouserOf } from "../../model/pseudouser.ts";
import { claimsUser, faultsInNamespaces, SAMPLE_TOKENS, type Registration } from "../registration.ts";
import { SAMPLE_ADMIN_TOKEN } from "./admin.ts";
import type { Config } from "./config.ts";
import { formatListen, parseHttpUrl, type ListenAddress } from "./values.ts";

/** The sections that could be read; null for one with a mistake. */
export type Parts = {
  readonly [Name in "homeserver" | "pseudouser" | "appservice" | "gateway" | "admin"]: Config[Name] | null;
} & { readonly registration: Registration | null };

/** Finds values that are each valid but contradict each other, and sample values that were left unchanged. */
export function contradictions(parts: Parts): string[] {
  return [...sharedListeners(parts), ...sampleValues(parts), ...sharedTokens(parts), ...registrationFaults(parts)];
}

function sharedListeners({ appservice, gateway, admin }: Parts): string[] {
  const listeners: [string, ListenAddress][] = [];
  if (appservice) listeners.push(["appservice.listen", appservice.listen]);
  if (gateway) listeners.push(["gateway.listen", gateway.listen]);
  if (admin) listeners.push(["admin.listen", admin.listen]);
  return pairs(listeners)
    .filter(([[, one], [, other]]) => collide(one, other))
    .map(([[key, one], [otherKey, other]]) => {
      const addresses = [...new Set([formatListen(one), formatListen(other)])].join(" and ");
      return `${key} and ${otherKey} cannot both listen on ${addresses}: give one another port`;
    });
}

const EVERY_HOST = new Set(["0.0.0.0", "::"]);

function collide(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || EVERY_HOST.has(one.host) || EVERY_HOST.has(other.host);
}

function sampleValues({ admin, registration }: Parts): string[] {
  const samples: [string, boolean][] = [
    ["admin.token", admin?.token === SAMPLE_ADMIN_TOKEN],
    ["the registration's as_token", registration?.as_token === SAMPLE_TOKENS.asToken],
    ["the registration's hs_token", registration?.hs_token === SAMPLE_TOKENS.hsToken],
  ];
  return samples
    .filter(([, untouched]) => untouched)
    .map(
      ([key]) =>
        `${key} is the sample's, which everybody knows: \`emissary register\` writes files with tokens of their own`,
    );
}

function sharedTokens({ admin, registration }: Parts): string[] {
  const tokens: [string, string][] = [];
  if (admin) tokens.push(["admin.token", admin.token]);
  if (registration) tokens.push(["the registration's as_token", registration.as_token]);
  if (registration) tokens.push(["the registration's hs_token", registration.hs_token]);
  return pairs(tokens)
    .filter(([[, one], [, other]]) => one === other)
    .map(([[key], [otherKey]]) => `${key} and ${otherKey} are the same: whoever holds one must not hold the other`);
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
