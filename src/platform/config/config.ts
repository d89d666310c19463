import type { z } from "zod";
import type { sections, SectionName } from "./sections.ts";

type CamelKey<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelKey<Tail>>}` : Key;

/** A section inside the program: the file's `joins_per_second` is `joinsPerSecond`. */
type Camel<T> = T extends string | number | boolean | null | undefined | readonly unknown[]
  ? T
  : { readonly [Key in keyof T as CamelKey<Key>]: Camel<T[Key]> };

type Section<Name extends SectionName> = Camel<z.output<(typeof sections)[Name]>>;

/** The parts of the registration that the running program needs. */
interface OwnRegistration {
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
export type Config = { readonly [Name in Exclude<SectionName, "homeserver" | "admin">]: Section<Name> } & {
  readonly homeserver: Omit<Section<"homeserver">, "adminTokenFile"> & {
    /** Token of a user who may use the homeserver's admin API. */
    readonly adminToken?: string;
  };
  readonly admin: AdminAccess;
  readonly registration: OwnRegistration;
};

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

/** Keys that a running daemon can reload; all others need a restart. */
const RELOADABLE = /^(?:attendance\.|policy\.|log\.level$)/;

export interface ConfigChanges {
  /** Changed keys that take effect now, as named in emissary.yaml. */
  readonly applied: readonly string[];
  /** Changed keys that take effect at the next start. */
  readonly needRestart: readonly string[];
}

/** Compares the running configuration with the new one. Returns no values: some are secrets. */
export function changesBetween(running: Config, read: Config): ConfigChanges {
  const before = valuesOf(running);
  const after = valuesOf(read);
  const differing = [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => before.get(key) !== after.get(key),
  );
  return {
    applied: differing.filter((key) => RELOADABLE.test(key)),
    needRestart: differing.filter((key) => !RELOADABLE.test(key)),
  };
}

function valuesOf(config: Config): Map<string, string> {
  return new Map(
    Object.entries(config).flatMap(([section, values]) =>
      Object.entries(values as object).map(([key, value]): [string, string] => [
        `${section}.${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
        JSON.stringify(value),
      ]),
    ),
  );
}
