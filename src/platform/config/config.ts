import type { z } from "zod";
import { admin } from "./admin.ts";
import { aliases } from "./aliases.ts";
import { appservice } from "./appservice.ts";
import { attendance } from "./attendance.ts";
import { gateway } from "./gateway.ts";
import { homeserver } from "./homeserver.ts";
import { invites } from "./invites.ts";
import { log } from "./log.ts";
import { peek } from "./peek.ts";
import { policy } from "./policy.ts";
import { pseudouser } from "./pseudouser.ts";
import { storage } from "./storage.ts";

/** The sections of emissary.yaml, in the sample's order. */
export const sections = {
  homeserver,
  pseudouser,
  appservice,
  gateway,
  peek,
  admin,
  storage,
  attendance,
  policy,
  aliases,
  invites,
  log,
};
export type SectionName = keyof typeof sections;

type CamelKey<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelKey<Tail>>}` : Key;

/** A section inside the program: the file's `joins_per_second` is `joinsPerSecond`. */
export type Camel<T> = T extends string | number | boolean | null | undefined | readonly unknown[]
  ? T
  : { readonly [Key in keyof T as CamelKey<Key>]: Camel<T[Key]> };

type Section<Name extends SectionName> = Camel<z.output<(typeof sections)[Name]>>;

/** The parts of the registration that the running program needs. */
export interface OwnRegistration {
  readonly id: string;
  /** We present it to the homeserver. */
  readonly asToken: string;
  /** The homeserver presents it to us. */
  readonly hsToken: string;
  readonly senderLocalpart: string;
  /** Whether it lets us act as the reader (model/reader.ts). */
  readonly claimsReader: boolean;
  readonly url: string;
  /** Aliases that it reserves for us, as regular expressions. */
  readonly reservedAliases: readonly string[];
}

/**
 * The checked, consistent and deeply frozen configuration. Paths are absolute, durations are milliseconds, URLs have
 * no final slash. Only load.ts makes it.
 */
export interface Config {
  readonly homeserver: Omit<Section<"homeserver">, "adminTokenFile"> & {
    /** Token of a user who may use the homeserver's admin API. */
    readonly adminToken?: string;
  };
  readonly pseudouser: Section<"pseudouser">;
  readonly appservice: Section<"appservice">;
  readonly gateway: Section<"gateway">;
  readonly peek: Section<"peek">;
  readonly admin: AdminAccess;
  readonly storage: Section<"storage">;
  readonly attendance: Section<"attendance">;
  readonly policy: Section<"policy">;
  readonly aliases: Section<"aliases">;
  readonly invites: Section<"invites">;
  readonly log: Section<"log">;
  readonly registration: OwnRegistration;
}

/** Access to the admin API, for commands that ask the running daemon. */
export interface AdminAccess {
  readonly listen: Section<"admin">["listen"];
  readonly token: string;
}

export function camelKeys<T extends object>(section: T): Camel<T> {
  const renamed = Object.entries(section).map(([key, value]): [string, unknown] => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(renamed) as Camel<T>;
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
