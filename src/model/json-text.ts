/**
 * Changes parts of received JSON and keeps the rest as text. JavaScript reads `9007199254740993`, `1.0` and `1e400` as
 * other numbers, and keeps one of two equal keys. So values keep their text, and only differences are written.
 */
import { eachMember, elementsAt, endOfValue, isListAt, isObjectAt, skipSpace, unquoted } from "./json-scan.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * What was judged before a text goes out: keys at the top, and in what may replace it (`m.new_content`). No key below
 * them may repeat, since others may read the first where we read the last. Elsewhere repeats keep only plain values.
 */
export type Judged = ReadonlySet<string> | "all";

interface Source {
  readonly text: string;
  readonly value: unknown;
  /** Null if its sender judged it before it came to us. */
  readonly judged: Judged | null;
}

const sources = new WeakMap<object, Source>();

/** Attaches its text to a value. It will be written as that text. */
export function sourced<T>(value: T, text: string): T {
  if (isObject(value)) sources.set(value, { text, value, judged: null });
  return value;
}

/** Marks `after` as the new form of a value with a text: only what differs is written anew. */
export function revisionOf<T>(before: unknown, after: T, judged: Judged | null = null): T {
  const source = isObject(before) ? sources.get(before) : undefined;
  if (source === undefined || !isObject(after)) return after;
  if (before !== after || judged !== null) sources.set(after, { ...source, judged: judged ?? source.judged });
  return after;
}

/** Attaches their parts of the text to the elements of a list at a key of an object that has a text. */
export function sourcedList(value: Fields, text: string, key: string): void {
  const list = value[key];
  if (!Array.isArray(list) || list.length === 0) return;
  let at = -1;
  eachMember(text, skipSpace(text, 0), (name, from) => {
    if (unquoted(name) === key) at = from;
    return endOfValue(text, from);
  });
  for (const [index, { from, to }] of elementsAt(text, at).entries()) sourced(list[index], text.slice(from, to));
}

/** Like `sourcedList`, for an unchanged object. */
export function sourcedParts(value: Fields, key: string): void {
  const source = sources.get(value);
  if (source?.value === value) sourcedList(value, source.text, key);
}

/** Returns the value as JSON. @throws RangeError if it is nested too deeply */
export function textOf(value: unknown): string {
  if (!isObject(value)) return value === undefined ? "null" : JSON.stringify(value);
  const source = sources.get(value);
  if (source === undefined) return Array.isArray(value) ? listText(value) : objectText(value as Fields);
  if (source.value === value && source.judged === null) return source.text;
  const text = new Retelling(source).value(skipSpace(source.text, 0), source.value, value, source.judged);
  sources.set(value, { text, value, judged: null });
  return text;
}

function listText(list: readonly unknown[]): string {
  return `[${list.map((one) => (one === undefined ? "null" : textOf(one))).join(",")}]`;
}

function objectText(object: Fields): string {
  const members = Object.entries(object).filter(([, value]) => value !== undefined);
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${textOf(value)}`).join(",")}}`;
}

interface Member {
  readonly key: string;
  /** Null to leave the member out. */
  text: string | null;
  readonly raw: string;
  readonly value: string;
}

/** One pass through a text that writes a changed value. */
class Retelling {
  readonly #text: string;
  /** A repeated key could have hidden something from the judgement, so nothing is copied unseen. */
  readonly #isStrict: boolean;
  readonly #mayHide: boolean;
  /** The end of the newest value. */
  #end = 0;

  constructor({ text, judged }: Source) {
    this.#text = text;
    this.#isStrict = judged !== null;
    this.#mayHide = judged !== null && (text.includes("org.matrix.msc1777.") || text.includes("\\u"));
  }

  /** Returns the text of `after`, given where `before` begins in the text. */
  value(at: number, before: unknown, after: unknown, judged: Judged | null): string {
    const text = this.#text;
    const isUnseen = judged === null && !this.#mayHide;
    if (isObject(before) && isObject(after) && !(before === after && isUnseen)) {
      if (Array.isArray(before) && Array.isArray(after) && isListAt(text, at)) {
        return this.#list(at, before, after, judged === "all" ? "all" : null);
      }
      if (!Array.isArray(before) && !Array.isArray(after) && isObjectAt(text, at)) {
        return this.#object(at, before as Fields, after as Fields, judged);
      }
    }
    this.#end = endOfValue(text, at);
    // Written anew if the text means another value: it may be one of two at the same key.
    return Object.is(before, after) ? text.slice(at, this.#end) : textOf(after);
  }

  #object(at: number, before: Fields, after: Fields, judged: Judged | null): string {
    const text = this.#text;
    const members: Member[] = [];
    const known = new Map<string, Member>();
    this.#end = eachMember(text, at, (raw, from) => {
      const key = unquoted(raw);
      const isKept = Object.hasOwn(after, key) && after[key] !== undefined;
      const value = isKept ? this.value(from, before[key], after[key], below(judged, key)) : null;
      const to = isKept ? this.#end : endOfValue(text, from);
      const member = { key, raw, text: value, value: text.slice(from, to) };
      const earlier = known.get(key);
      // Of members with one key the last counts, and the others were changed through its value.
      if (earlier !== undefined) earlier.text = this.#repeated(earlier, member, judged);
      known.set(key, member);
      members.push(member);
      return to;
    });
    const end = this.#end;
    const kept = members.flatMap(({ raw, text: value }) => (value === null ? [] : [`${raw}:${value}`]));
    for (const [key, value] of Object.entries(after)) {
      if (value !== undefined && !known.has(key)) kept.push(`${JSON.stringify(key)}:${textOf(value)}`);
    }
    this.#end = end;
    return `{${kept.join(",")}}`;
  }

  /** Returns an earlier member with a repeated key: it stays if the last one, which counts, is unchanged. */
  #repeated(earlier: Member, last: Member, judged: Judged | null): string | null {
    if (last.text !== last.value) return null;
    if (judged === "all" || judged?.has(earlier.key) === true) return null;
    return this.#isStrict && /^[[{]/.test(earlier.value) ? null : earlier.value;
  }

  #list(at: number, before: readonly unknown[], after: readonly unknown[], judged: "all" | null): string {
    const text = this.#text;
    if (before.length === after.length) {
      const elements: string[] = [];
      const end = eachMember(text, at, (_key, from) => {
        const index = elements.length;
        elements.push(this.value(from, before[index], after[index], judged));
        return this.#end;
      });
      this.#end = end;
      return `[${elements.join(",")}]`;
    }
    const spans = elementsAt(text, at);
    const end = endOfValue(text, at);
    // The remaining elements of a list keep their order.
    let next = 0;
    const elements = after.map((one) => {
      const found = before.indexOf(one, next);
      const span = spans[found];
      if (found !== -1) next = found + 1;
      return span === undefined ? textOf(one) : this.value(span.from, one, one, judged);
    });
    this.#end = end;
    return `[${elements.join(",")}]`;
  }
}

function below(judged: Judged | null, key: string): Judged | null {
  if (judged === null || judged === "all") return judged;
  if (judged.has(key)) return "all";
  return key === "m.new_content" ? judged : null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
