/** The tables of docs/reference/bounds.md, made from scripts/bounds.ts and the constants in the source. */
import { BOUNDS } from "./bounds.ts";
import { constantOf } from "./constants.ts";

const BLOCK = /(<!-- generated: bounds -->\n)[^]*?(<!-- end -->)/;
/** `{NAME}`, or `{NAME ms}` and `{NAME bytes}` for a constant that has a unit. */
const PLACEHOLDER = /\{([^ }]+)(?: (ms|bytes))?\}/g;

/** Returns the page with its tables made anew. The text around them stays as it is. */
export function boundsPage(page: string): string {
  if (!BLOCK.test(page))
    throw new Error("docs/reference/bounds.md has no place for its tables: <!-- generated: bounds -->");
  const sections = Object.entries(BOUNDS).map(([title, rows]) => {
    const cells = rows.map(([what, file, bound]) => `| ${what} | ${shown(file, bound)} | \`${file.slice(4)}\` |`);
    return [`## ${title}`, "", "| what | bound | where |", "|---|---|---|", ...cells].join("\n");
  });
  const tables = sections.join("\n\n");
  return page.replace(BLOCK, (_block, begin: string, end: string) => `${begin}\n${tables}\n\n${end}`);
}

/** A bound in words, with the values of its constants. */
function shown(file: string, bound: string): string {
  return bound.replaceAll(PLACEHOLDER, (_text, name: string, unit?: string) => {
    const value = constantOf(file, name);
    if (unit === "ms") return duration(value);
    return unit === "bytes" ? bytes(value) : value.toLocaleString("en-US");
  });
}

function duration(ms: number): string {
  const units = [
    [86_400_000, "day"],
    [3_600_000, "hour"],
    [60_000, "minute"],
    [1_000, "second"],
  ] as const;
  // 24 hours, not one day; 90 seconds, not 1.5 minutes.
  for (const [length, unit] of units) {
    if (ms % length === 0 && (unit !== "day" || ms > length))
      return `${ms / length} ${unit}${ms === length ? "" : "s"}`;
  }
  return ms > 1_000 ? `${ms / 1_000} seconds` : `${ms} ms`;
}

function bytes(value: number): string {
  if (value % 2 ** 20 === 0) return `${value / 2 ** 20} MiB`;
  if (value % 2 ** 10 === 0) return `${value / 2 ** 10} KiB`;
  return `${value.toLocaleString("en-US")} bytes`;
}
