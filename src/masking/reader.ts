import { HeldPart } from "./held.ts";
import { TELLING_KEYS } from "./places.ts";

const [QUOTE, EXCLAMATION, AT, COMMA, BACKSLASH] = [0x22, 0x21, 0x40, 0x2c, 0x5c];
const [CLOSE_LIST, CLOSE_OBJECT] = [0x5d, 0x7d];
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Keys with a meaning, by length. */
const TELLING: (readonly [Uint8Array, string])[][] = [];
for (const key of TELLING_KEYS) (TELLING[key.length] ??= []).push([new TextEncoder().encode(key), key]);
const NONE: readonly (readonly [Uint8Array, string])[] = [];

/** Reads JSON in the held part of an answer. */
export class Reader extends HeldPart {
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
    for (const [key, text] of TELLING[bytes.length] ?? NONE) {
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

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDelimiter(byte: number): boolean {
  return isSpace(byte) || byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST;
}
