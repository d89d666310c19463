/** JSON as a person reads it: on one line where it fits, and with the long random parts of IDs and tokens cut short. */

const INDENT = "  ";

/** What is random in Matrix: IDs of events and of rooms since version 12, and tokens. The beginning tells them apart. */
export function shortenIds(text: string): string {
  return text
    .replace(/([!$][\w-]{7})[\w-]{36}(?![\w-])/g, "$1…")
    .replace(/((?:as_token|hs_token): ["']?[\w-]{6})[\w-]{20,}/g, "$1…");
}

/** The lines of the JSON text, each at most `width` wide where that can be. */
export function jsonLines(value: unknown, width: number): string[] {
  const flat = onOneLine(value);
  if (flat.length <= width || typeof value !== "object" || value === null) return [flat];
  const isList = Array.isArray(value);
  const entries = Object.entries(value as Record<string, unknown>);
  const inner = entries.flatMap(([key, item], index) => {
    const [first = "", ...rest] = jsonLines(item, width - INDENT.length - (isList ? 0 : key.length + 4));
    const lines = [isList ? first : `${JSON.stringify(key)}: ${first}`, ...rest];
    const comma = index < entries.length - 1 ? "," : "";
    return lines.map((line, at) => INDENT + line + (at === lines.length - 1 ? comma : ""));
  });
  return [isList ? "[" : "{", ...inner, isList ? "]" : "}"];
}

function onOneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${onOneLine(item)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return shortenIds(JSON.stringify(value));
}
