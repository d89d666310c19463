import { isJsonObject, type JsonObject, type JsonValue } from "../../model/json.ts";

export type Shown = (event: JsonObject) => JsonObject;

/** Maximum fields, and their depth. */
const MAX_FIELDS = 100;
const MAX_DEPTH = 20;

/**
 * Parses a filter's `event_fields`. Dots separate nested keys (`content.body`); a backslash escapes a key's own dot.
 * If it is not a list, events stay whole.
 */
export function fieldsOf(wanted: JsonValue | undefined): Shown {
  if (!Array.isArray(wanted)) return (event) => event;
  const texts = wanted.filter((field) => typeof field === "string").slice(0, MAX_FIELDS);
  const paths = texts.map(pathOf).filter((path) => path.length <= MAX_DEPTH);
  return (event) => {
    const kept: JsonObject = {};
    for (const path of paths) copy(path, event, kept);
    return kept;
  };
}

function pathOf(field: string): readonly string[] {
  const path = [""];
  for (let at = 0; at < field.length; at += 1) {
    const char = field[at] ?? "";
    const next = field[at + 1];
    if (char === ".") path.push("");
    else if (char === "\\" && (next === "." || next === "\\")) {
      path.push(`${path.pop() ?? ""}${next}`);
      at += 1;
    } else path.push(`${path.pop() ?? ""}${char}`);
  }
  return path;
}

function copy(path: readonly string[], from: JsonObject, to: JsonObject): void {
  const [key = "", ...rest] = path;
  if (!Object.hasOwn(from, key)) return;
  const value = from[key] ?? null;
  if (rest.length === 0) {
    define(to, key, value);
    return;
  }
  if (!isJsonObject(value)) return;
  const held = Object.hasOwn(to, key) ? to[key] : undefined;
  // The whole value has the nested field already.
  if (held === value) return;
  const inner = isJsonObject(held) ? held : {};
  copy(rest, value, inner);
  if (Object.keys(inner).length > 0) define(to, key, inner);
}

/** Not by assignment: `__proto__` may be an ordinary key. */
function define(object: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
