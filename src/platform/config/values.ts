/**
 * The kinds of value of a key. Each has the words after "expected" in a complaint, so that all mistakes read alike.
 */
import { isIPv6 } from "node:net";
import { z } from "zod";
import { isRoomAlias, isRoomId, isServerName, type ServerName } from "../../model/ids.ts";

interface Expectation {
  /** Fits after "expected". */
  readonly expected: string;
  /** The value must never be shown. */
  readonly secret: boolean;
}

const expectations = z.registry<Expectation>();

/** Attaches the words for complaints to a schema. Put defaults and `optional` around it, not inside. */
export function expecting<S extends z.ZodType>(expected: string, schema: S, { secret = false } = {}): S {
  expectations.add(schema, { expected, secret });
  return schema;
}

/** Returns the words attached to a schema or to the one it wraps. */
export function expectationOf(schema: z.ZodType): Expectation | null {
  const own = expectations.get(schema);
  if (own !== undefined) return own;
  const inner = innerOf(schema);
  return inner === null ? null : expectationOf(inner);
}

/** Returns the schema inside a default, an `optional` or a `nullable`. */
export function innerOf(schema: z.ZodType): z.ZodType | null {
  const wraps = schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable;
  return wraps ? (schema.unwrap() as z.ZodType) : null;
}

/** A text that `read` parses; null means that it is invalid. */
function text<T>(expected: string, read: (text: string) => T | null) {
  const schema = z.string().transform((given, context): T => {
    const value = read(given);
    if (value !== null) return value;
    context.issues.push({ code: "custom", input: given });
    return z.NEVER;
  });
  return expecting(expected, schema);
}

export interface ListenAddress {
  /** Without brackets, also for IPv6. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export function parseListen(given: string): ListenAddress | null {
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(given);
  if (match === null) return null;
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) return null;
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port > 65_535 ? null : { host, port };
}

export function formatListen({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Returns the URL of a listener on this machine; null if its port is any free one. */
export function localUrl({ host, port }: ListenAddress): string | null {
  const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return port === 0 ? null : `http://${formatListen({ host: local, port })}`;
}

export const listen = () => text("host:port, such as 127.0.0.1:9009 or [::1]:9009", parseListen);

/** Returns the URL without a final slash, so that two spellings of one URL are equal; null for anything else. */
export function parseHttpUrl(given: string): string | null {
  const url = URL.parse(given);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return null;
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return null;
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

export const httpUrl = () => text("an http:// or https:// address without user name, query or fragment", parseHttpUrl);

export const serverName = () =>
  text("a server name as in user IDs, such as example.org", (given): ServerName | null =>
    isServerName(given) ? given : null,
  );

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Parses a duration such as `90s` to milliseconds, or null. A number without a unit is ambiguous. */
export function parseDuration(given: string): number | null {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(given);
  return match === null ? null : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

/** A duration, parsed to milliseconds. */
export const duration = ({ atLeast = "0s" } = {}) => {
  const least = parseDuration(atLeast) ?? 0;
  const bound = least === 0 ? "" : ` of at least ${atLeast}`;
  return text(`a duration${bound} with its unit, such as 500ms, 30s, 10m, 24h or 7d`, (given) => {
    const ms = parseDuration(given);
    return ms === null || ms < least ? null : ms;
  });
};

const SIZES = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/** Parses a size such as `512MiB` to bytes; null if it is none. */
export function parseSize(given: string): number | null {
  const match = /^(\d{1,4})(KiB|MiB|GiB|TiB)$/.exec(given);
  return match === null ? null : Number(match[1]) * SIZES[match[2] as keyof typeof SIZES];
}

/** A size, parsed to bytes. */
export const size = () => text("a size with its unit, such as 512KiB, 100MiB or 1GiB", parseSize);

export const wholeNumber = (from: number, to: number) =>
  expecting(`a whole number from ${from} to ${to}`, z.int().min(from).max(to));

export const yesOrNo = () => expecting("true or false", z.boolean());

export const path = () => expecting("a path", z.string().min(1));

export const choice = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  expecting(`one of ${words.join(", ")}`, z.enum(words));

export const globs = () => z.array(expecting("a text", z.string().min(1).max(255))).prefault([]);

export const roomName = () =>
  text("a room ID (!…) or an alias (#name:server)", (given) => (isRoomId(given) || isRoomAlias(given) ? given : null));

/**
 * A budget such as `30/1h`: so many joins at once after a pause, and as many again in each such time (milliseconds).
 */
export const budget = () =>
  text("a number and a time, such as 30/1h", (given): { readonly joins: number; readonly per: number } | null => {
    const [count = "", time = "", ...more] = given.split("/");
    const per = parseDuration(time);
    const joins = /^[1-9]\d{0,5}$/.test(count) ? Number(count) : null;
    return joins === null || per === null || per === 0 || more.length > 0 ? null : { joins, per };
  });
