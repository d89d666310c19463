import { revisionOf, textOf } from "./json-text.ts";

/** JSON from outside, unchecked. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the string at `key`, or null if there is no string. */
export function stringAt(object: JsonObject, key: string): string | null {
  const value = object[key];
  return typeof value === "string" ? value : null;
}

/** Returns the object at `key`, or an empty one if there is no object. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

/** Returns the objects of a list; none if the value is no list. */
export function objectsOf(list: JsonValue | undefined): JsonObject[] {
  return Array.isArray(list) ? list.filter((entry) => isJsonObject(entry)) : [];
}

/** Parses a body as a JSON object; returns an empty one for anything else. */
export function parsedObject(body: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Returns the object without these keys, in the same order. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** Returns the object with only these keys, in the order given. */
export function only(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key] ?? null]));
}

/** Returns whether a value is nested more than `depth` deep. `JSON.stringify` fails at some thousands. */
export function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeperThan(depth - 1, inner));
}

/**
 * The deepest nesting that we keep. Useful events have about ten levels at most; SQLite reads a thousand, recursive
 * functions such as JSON.stringify some thousands. A sender that nests deeper loses what lies there.
 */
export const MAX_NESTING = 500;

/** Replaces everything below `depth` by null. Returns the same value if there is nothing to replace. */
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
 * Returns JSON for a value from others: its own text if it has one (json-text.ts), and cut if it is nested too deeply.
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
/** The bit that distinguishes braces from brackets. */
const BRACE = 0x20;

/** Returns whether JSON text is nested more than `most` deep, without parsing it. */
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

/**
 * Returns the end of the string that begins at `from`: the first quote with an even number of backslashes before it.
 */
function endOfString(text: Uint8Array, from: number): number {
  for (let at = text.indexOf(QUOTE, from + 1); at !== -1; at = text.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
