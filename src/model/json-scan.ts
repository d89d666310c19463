/** Navigates JSON text without parsing. Skips text unchecked. All functions throw SyntaxError if it ends early. */
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
/** The bit that distinguishes braces from brackets. */
const BRACE = 0x20;

export interface Span {
  readonly from: number;
  readonly to: number;
}

export function isObjectAt(text: string, at: number): boolean {
  return text.charCodeAt(at) === OPEN_OBJECT;
}

export function isListAt(text: string, at: number): boolean {
  return text.charCodeAt(at) === OPEN_LIST;
}

export function skipSpace(text: string, at: number): number {
  let here = at;
  while (isSpace(text.charCodeAt(here))) here += 1;
  return here;
}

/** Returns the end of the value that begins at `at`. */
export function endOfValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) return endOfWord(text, at);
  let depth = 0;
  for (let here = at; here < text.length;) {
    const code = text.charCodeAt(here);
    if (code === QUOTE) {
      here = endOfString(text, here);
      continue;
    }
    here += 1;
    const bracket = code | BRACE;
    if (bracket === 0x7b) depth += 1;
    else if (bracket === 0x7d && (depth -= 1) === 0) return here;
  }
  throw new SyntaxError("an object or list does not end");
}

/**
 * Visits the members of the object, or the elements of the list, that begins at `at`. Returns its end.
 * @param visit gets the key as written (empty in a list) and the value's start, and returns the value's end
 */
export function eachMember(text: string, at: number, visit: (key: string, value: number) => number): number {
  const isObject = isObjectAt(text, at);
  const close = isObject ? "}" : "]";
  let start = skipSpace(text, at + 1);
  if (text[start] === close) return start + 1;
  for (;;) {
    let [key, value] = ["", start];
    if (isObject) {
      const end = endOfString(text, start);
      key = text.slice(start, end);
      const colon = skipSpace(text, end);
      if (text[colon] !== ":") throw new SyntaxError("a colon is missing");
      value = skipSpace(text, colon + 1);
    }
    const end = skipSpace(text, visit(key, value));
    if (text[end] === close) return end + 1;
    if (text.charCodeAt(end) !== COMMA) throw new SyntaxError("a comma is missing");
    start = skipSpace(text, end + 1);
  }
}

/** Returns the spans of a list's elements. */
export function elementsAt(text: string, at: number): readonly Span[] {
  const spans: Span[] = [];
  eachMember(text, at, (_key, from) => {
    const to = endOfValue(text, from);
    spans.push({ from, to });
    return to;
  });
  return spans;
}

/** Resolves the escapes of a key or string as written. */
export function unquoted(quoted: string): string {
  return quoted.includes("\\") ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** The string ends at the first quote with an even number of backslashes before it. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
  throw new SyntaxError("a string does not end");
}

/** Numbers, `true`, `false` and `null`. */
function endOfWord(text: string, at: number): number {
  let here = at;
  while (here < text.length && !isSpace(text.charCodeAt(here)) && !",}]".includes(text[here] ?? ",")) here += 1;
  if (here === at) throw new SyntaxError("a value is missing");
  return here;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
