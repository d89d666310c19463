import type { Config } from "./config.ts";

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
