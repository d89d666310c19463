const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** The bit that distinguishes braces from brackets. */
const BRACE = 0x20;

/** Finds the end of a string, object or list that may arrive in pieces. Assumes that what it skips is JSON. */
export class ValueEnd {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #at = 0;

  /** The place up to which it was searched. */
  get reached(): number {
    return this.#at;
  }

  /** @param at the place of the value's first byte */
  begin(at: number): void {
    this.#depth = 0;
    this.#isInString = false;
    this.#isEscaped = false;
    this.#at = at;
  }

  /** Returns where the value ends; -1 if it has not arrived. @param base the place of the first byte */
  find(bytes: Uint8Array, base: number): number {
    let at = this.#at - base;
    let depth = this.#depth;
    let isInString = this.#isInString;
    if (at >= bytes.length) return -1;
    if (this.#isEscaped) at++;
    while (at < bytes.length) {
      if (isInString) {
        for (; at < bytes.length; at++) {
          const byte = bytes[at];
          if (byte === QUOTE) break;
          if (byte === BACKSLASH) at++;
        }
        if (at >= bytes.length) break;
        at++;
        isInString = false;
        if (depth === 0) return at + base;
      }
      for (; at < bytes.length; at++) {
        const byte = bytes[at] ?? 0;
        if (byte === QUOTE) {
          isInString = true;
          at++;
          break;
        }
        const bracket = byte | BRACE;
        if (bracket === OPEN_OBJECT) depth++;
        else if (bracket === CLOSE_OBJECT && --depth === 0) return at + 1 + base;
      }
    }
    this.#isEscaped = at > bytes.length;
    this.#at = Math.min(at, bytes.length) + base;
    this.#depth = depth;
    this.#isInString = isInString;
    return -1;
  }
}
