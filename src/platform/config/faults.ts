import { z } from "zod";
import { isJsonObject } from "../../model/json.ts";
import { expectationOf, innerOf } from "./values.ts";

const LONGEST_SHOWN = 80;

/**
 * Returns the schema's faults in `raw`: one sentence each, beginning with the key under `prefix`. Shows values, except
 * secrets and whole sections, which may contain one.
 */
export function faultsOf(schema: z.ZodType, error: z.ZodError, raw: unknown, prefix: string): string[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      const known = keysAt(schema, issue.path);
      return issue.keys.map((key) => unknownKey(join(prefix, [...issue.path, key]), key, known));
    }
    return [fault(schemaAt(schema, issue.path), issue, valueAt(raw, issue.path), join(prefix, issue.path))];
  });
}

function fault(schema: z.ZodType | null, issue: z.core.$ZodIssue, value: unknown, key: string): string {
  const expectation = schema === null ? null : expectationOf(schema);
  const expected = expectation?.expected ?? generic(issue);
  if (value === undefined) return `${key}: missing; expected ${expected}`;
  // `token=…` instead of `token: …` makes a whole section one text, which contains the secret.
  if (schema instanceof z.ZodObject && typeof value === "string") return `${key}: expected ${expected}, got a text`;
  return `${key}: expected ${expected}, got ${shown(value, expectation?.secret === true)}`;
}

export function unknownKey(path: string, key: string, known: readonly string[]): string {
  const meant = known.find((candidate) => distance(candidate, key) <= 2);
  return `${path}: unknown key${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

function generic(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_type") return "another value";
  const words: Record<string, string> = { object: "keys and values", array: "a list", boolean: "true or false" };
  return words[issue.expected] ?? `a ${issue.expected}`;
}

/** Returns a value as a complaint may show it. */
export function shown(value: unknown, secret: boolean): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "keys and values";
  if (typeof value === "string") {
    if (secret) return `${value.length} characters`;
    // A password in a URL is a secret, too.
    const harmless = value.replace(/\/\/[^/@]*@/, "//…@");
    return JSON.stringify(harmless.length > LONGEST_SHOWN ? `${harmless.slice(0, LONGEST_SHOWN)}…` : harmless);
  }
  if (secret) return `a ${typeof value}: put it in quotes`;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : `a ${typeof value}`;
}

function join(prefix: string, path: readonly PropertyKey[]): string {
  return [...(prefix === "" ? [] : [prefix]), ...path.map(String)].join(".");
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, step) => {
    if (Array.isArray(at)) return (at as unknown[])[Number(step)];
    return isJsonObject(at) ? at[String(step)] : undefined;
  }, raw);
}

function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | null {
  const [step, ...rest] = path;
  if (step === undefined) return schema;
  if (schema instanceof z.ZodObject) {
    const next = (schema.shape as Record<string, z.ZodType>)[String(step)];
    return next === undefined ? null : schemaAt(next, rest);
  }
  if (schema instanceof z.ZodArray) return schemaAt(schema.element as z.ZodType, rest);
  const inner = innerOf(schema);
  return inner === null ? null : schemaAt(inner, path);
}

function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const at = schemaAt(schema, path);
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

/** Returns the Levenshtein distance of two words. */
function distance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [row, letter] of Array.from(one).entries()) {
    const next = [row + 1];
    for (const [column, against] of Array.from(other).entries()) {
      const exchange = (previous[column] ?? 0) + (letter === against ? 0 : 1);
      next.push(Math.min(exchange, (previous[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    previous = next;
  }
  return previous[other.length] ?? 0;
}
