/** Reads JSON as bytes. Throws SyntaxError where it notices other text; skipped parts are not checked. */
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** The bit that distinguishes braces from brackets. */
const BRACE = 0x20;

export function isObjectAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === OPEN_OBJECT;
}

export function isListAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === OPEN_LIST;
}

export function skipSpace(bytes: Uint8Array, at: number): number {
  let here = at;
  while (here < bytes.length && isSpace(bytes[here])) here++;
  return here;
}

/** Returns the end of the value at `at`. Scans strings byte by byte, because they may contain brackets and quotes. */
export function endOfValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first === QUOTE) return endOfString(bytes, at);
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) return endOfWord(bytes, at);
  let depth = 0;
  for (let here = at; here < bytes.length;) {
    const byte = bytes[here] ?? 0;
    if (byte === QUOTE) {
      here = endOfString(bytes, here);
      continue;
    }
    here++;
    const bracket = byte | BRACE;
    if (bracket === OPEN_OBJECT) depth++;
    else if (bracket === CLOSE_OBJECT && --depth === 0) return here;
  }
  throw new SyntaxError("an object or list does not end");
}

/**
 * Visits the members of the object, or the elements of the list, at `at`, and returns its end.
 * @param visit gets the start of the member (its key, in an object) and of its value, and returns the value's end
 */
export function eachMember(bytes: Uint8Array, at: number, visit: (start: number, value: number) => number): number {
  const isObject = isObjectAt(bytes, at);
  const close = isObject ? CLOSE_OBJECT : CLOSE_LIST;
  let start = skipSpace(bytes, at + 1);
  if (bytes[start] === close) return start + 1;
  for (;;) {
    const end = skipSpace(bytes, visit(start, isObject ? valueAfterKey(bytes, start) : start));
    if (bytes[end] === close) return end + 1;
    if (bytes[end] !== COMMA) throw new SyntaxError("a comma is missing");
    start = skipSpace(bytes, end + 1);
  }
}

export function parsedBetween(bytes: Uint8Array, from: number, to: number): unknown {
  return JSON.parse(DECODER.decode(bytes.subarray(from, to)));
}

/** Returns the string at `at` with escapes resolved. */
export function stringAt(bytes: Uint8Array, at: number): string {
  return parsedBetween(bytes, at, endOfString(bytes, at)) as string;
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

function valueAfterKey(bytes: Uint8Array, key: number): number {
  if (bytes[key] !== QUOTE) throw new SyntaxError("a key is missing");
  const colon = skipSpace(bytes, endOfString(bytes, key));
  if (bytes[colon] !== COLON) throw new SyntaxError("a colon is missing");
  return skipSpace(bytes, colon + 1);
}

function endOfString(bytes: Uint8Array, at: number): number {
  for (let here = at + 1; here < bytes.length; here++) {
    const byte = bytes[here];
    if (byte === QUOTE) return here + 1;
    if (byte === BACKSLASH) here++;
  }
  throw new SyntaxError("a string does not end");
}

/** Numbers, `true`, `false` and `null`. */
function endOfWord(bytes: Uint8Array, at: number): number {
  let here = at;
  while (here < bytes.length && !isSpace(bytes[here]) && !isPunctuation(bytes[here])) here++;
  if (here === at) throw new SyntaxError("a value is missing");
  return here;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isPunctuation(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST;
}
