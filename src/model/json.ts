import { revisionOf, textOf } from "./json-text.ts";

/** JSON as it comes in, before anyone has looked at it. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The string at `key`, or null where there is none or something else stands there. */
export function stringAt(object: JsonObject, key: string): string | null {
  const value = object[key];
  return typeof value === "string" ? value : null;
}

/** The object at `key`, or an empty one where there is none. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

/** The JSON object that a body holds, or an empty one where it holds something else. */
export function parsedObject(body: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The object without some of its keys, the others in their order. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** The object with some of its keys only, in the order in which they are named. */
export function only(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key] ?? null]));
}

/** Whether lists and objects stand more than so many deep in each other. `JSON.stringify` fails where some thousands do. */
export function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeperThan(depth - 1, inner));
}

/**
 * Lists and objects that may stand in each other. No event that means something has more than some ten; SQLite reads a thousand, and what
 * goes through a value by itself, as JSON.stringify does, some thousands. Whoever writes deeper costs himself what lies there.
 */
export const MAX_NESTING = 500;

/** The value without what lies deeper than may be: null stands there. The same value where nothing does. */
export function shallow<T>(value: T, depth = MAX_NESTING): T {
  return isDeeperThan(depth, value) ? revisionOf(value, cut(value as JsonValue, depth) as T) : value;
}

function cut(value: JsonValue, depth: number): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return null;
  if (Array.isArray(value)) return value.map((inner) => cut(inner, depth - 1));
  // Not by assignment: `__proto__` may be a key like others.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, cut(inner, depth - 1)]));
}

/**
 * The value as JSON, for what may hold anything that others wrote: what has a text of its own is written as that (json-text.ts), and what is
 * nested too deeply to be written is written shallow.
 */
export function written(value: unknown): string {
  try {
    return textOf(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return JSON.stringify(shallow(value));
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The bit by which braces differ from brackets. */
const BRACE = 0x20;

/** Whether lists and objects stand more than so many deep in each other in a text that is JSON, told without reading it as such. */
export function isTextDeeperThan(most: number, text: Uint8Array): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === QUOTE) {
      at = endOfString(text, at);
    } else if ((byte | BRACE) === 0x7b) {
      depth += 1;
      if (depth > most) return true;
    } else if ((byte | BRACE) === 0x7d) {
      depth -= 1;
    }
  }
  return false;
}

/** Where the string ends that begins at `from`: at the first quote with an even number of backslashes before it. */
function endOfString(text: Uint8Array, from: number): number {
  for (let at = text.indexOf(QUOTE, from + 1); at !== -1; at = text.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
