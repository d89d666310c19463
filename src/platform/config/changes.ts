import type { Config } from "./config.ts";

/** What a running daemon takes over; everything else is read at its start only. */
const RELOADABLE = /^(?:attendance\.|policy\.|log\.level$)/;

export interface ConfigChanges {
  /** Keys that differ and take effect now, as they stand in emissary.yaml. */
  readonly applied: readonly string[];
  /** Keys that differ and wait for the next start. */
  readonly needRestart: readonly string[];
}

/** Compares the configuration that runs with the one that was read anew. Values are not told: some are secrets. */
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
