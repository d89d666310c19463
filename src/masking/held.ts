import { KEYS_WITH_MEANING, type Place } from "./places.ts";
import type { PseudouserCounts } from "./rules.ts";

const [QUOTE, EXCLAMATION, AT, COMMA, BACKSLASH] = [0x22, 0x21, 0x40, 0x2c, 0x5c];
const [CLOSE_LIST, CLOSE_OBJECT] = [0x5d, 0x7d];
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Keys with a meaning, by length. */
const BY_LENGTH: (readonly [Uint8Array, string])[][] = [];
for (const key of KEYS_WITH_MEANING) (BY_LENGTH[key.length] ??= []).push([new TextEncoder().encode(key), key]);
const NONE: readonly (readonly [Uint8Array, string])[] = [];

/** A replacement for a span of bytes. An undecided one keeps everything from its start on held. */
export interface Edit {
  readonly from: number;
  to: number;
  by: Uint8Array;
}

const NOTHING = new Uint8Array();

/** An object or list being read. */
export class Frame {
  readonly isList: boolean;
  readonly place: Place;
  /** Its key in the object around it. */
  readonly key: string | null;
  isEmpty = true;
  hasKept = false;
  /** Where the newest member ends, or the first may begin. */
  lastEnd: number;
  /** Where a cut of leading members begins; -1 if there is none. It ends at the next member, to include the comma. */
  open = -1;
  ownRoom: string | null = null;
  readonly counts: { readonly edit: Edit; readonly which: keyof PseudouserCounts; readonly count: unknown }[] = [];
  live: { readonly edit: Edit; readonly count: unknown } | null = null;
  timeline: { readonly length: number; readonly leftOut: readonly number[] } | null = null;
  length = 0;
  readonly leftOut: number[] = [];

  constructor(isList: boolean, place: Place, key: string | null, begin: number) {
    this.isList = isList;
    this.place = place;
    this.key = key;
    this.lastEnd = begin;
  }
}

/** The part of an answer that has arrived and not gone on, read as JSON. Places count from the answer's start. */
export class HeldPart {
  bytes: Uint8Array = NOTHING;
  /** The place of the first byte. */
  base = 0;
  /** In order, without overlaps. */
  #edits: Edit[] = [];
  /** The undecided edits. */
  readonly #open = new Set<Edit>();
  hasChanged = false;

  get end(): number {
    return this.base + this.bytes.length;
  }

  add(piece: Uint8Array): void {
    this.bytes = this.bytes.length === 0 ? piece : joined([this.bytes, piece]);
  }

  replace(from: number, to: number, by: Uint8Array): void {
    this.#edits.push({ from, to, by });
    this.hasChanged = true;
  }

  cut(from: number, to: number): void {
    this.hasChanged = true;
    const last = this.#edits.at(-1);
    if (last?.to === from && !this.#open.has(last)) last.to = to;
    else this.replace(from, to, NOTHING);
  }

  /** Adds an edit that will be decided later. */
  reserve(from: number, to: number): Edit {
    const edit = { from, to, by: this.slice(from, to) };
    this.#edits.push(edit);
    this.#open.add(edit);
    return edit;
  }

  /** @param by null to leave the bytes unchanged */
  decide(edit: Edit, by: Uint8Array | null): void {
    if (!this.#open.delete(edit) || by === null) return;
    edit.by = by;
    this.hasChanged = true;
  }

  /** Cancels the undecided edits. Returns false if there are none. */
  giveUp(): boolean {
    const isAny = this.#open.size > 0;
    this.#open.clear();
    return isAny;
  }

  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray(from - this.base, to - this.base);
  }

  /** Removes and returns the edited bytes before a place, as far as they are decided. */
  take(until: number): Uint8Array {
    const [first] = this.#open;
    const to = Math.min(until, first?.from ?? until);
    if (to <= this.base) return NOTHING;
    const parts: Uint8Array[] = [];
    let at = this.base;
    let done = 0;
    for (const edit of this.#edits) {
      if (edit.from >= to) break;
      parts.push(this.slice(at, edit.from), edit.by);
      at = edit.to;
      done += 1;
    }
    parts.push(this.slice(at, to));
    this.#edits.splice(0, done);
    this.bytes = this.bytes.subarray(to - this.base);
    this.base = to;
    return joined(parts);
  }

  /** Returns -1 if the byte has not arrived. */
  byte(at: number): number {
    return this.bytes[at - this.base] ?? -1;
  }

  /** Returns the next place without a space; -1 if it has not arrived. */
  space(from: number): number {
    for (let at = from; ; at++) {
      const byte = this.byte(at);
      if (byte === -1 || !isSpace(byte)) return byte === -1 ? -1 : at;
    }
  }

  stringEnd(from: number): number {
    const { bytes, base } = this;
    for (let at = from + 1 - base; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) return at + 1 + base;
      if (byte === BACKSLASH) at++;
    }
    return -1;
  }

  /** Numbers, `true`, `false` and `null`. */
  wordEnd(from: number, isLast: boolean): number {
    let at = from;
    for (let byte = this.byte(at); byte !== -1 && !isDelimiter(byte); byte = this.byte(at)) at++;
    if (this.byte(at) === -1 && !isLast) return -1;
    if (at === from) throw new SyntaxError("a value is missing");
    return at;
  }

  /** Returns the key's text if it matters; empty for a key without a meaning. */
  key(from: number, to: number): string {
    const first = this.byte(from + 1);
    if (first === AT || first === EXCLAMATION || first === BACKSLASH) return this.text(from, to);
    const bytes = this.slice(from + 1, to - 1);
    for (const [key, text] of BY_LENGTH[bytes.length] ?? NONE) {
      if (key.every((byte, index) => byte === bytes[index])) return text;
    }
    return "";
  }

  text(from: number, to: number): string {
    const text = DECODER.decode(this.slice(from + 1, to - 1));
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  }

  parsed(from: number, to: number): unknown {
    return JSON.parse(DECODER.decode(this.slice(from, to)));
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const filled = parts.filter(({ length }) => length > 0);
  if (filled.length < 2) return filled[0] ?? NOTHING;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDelimiter(byte: number): boolean {
  return isSpace(byte) || byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST;
}
