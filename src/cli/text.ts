/**
 * Text from strangers (room names, reasons, display names) on an operator's terminal. An escape sequence could repaint
 * the screen or even type for the operator; a direction mark could make one user's ID look like another's.
 */

/** Control characters (C0, DEL, C1), line separators, and marks that reorder or hide their neighbours. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]|\p{Cs}/gu;

/** Returns the text in one line, with active characters escaped, as in `\u{1b}`. */
export function neutral(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Returns equal JSON text that does nothing to a terminal. Line ends are the JSON's own and stay. */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, (character) => {
    if (character === "\n") return character;
    return Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
    }).join("");
  });
}

/** Characters of two columns: East Asian wide and full-width forms, and emoji. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;

const letters = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Returns a neutral text's width in columns, near enough to align tables. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of letters.segment(text)) width += letterWidth(segment);
  return width;
}

/** Shortens a text to at most `width` columns, with … for the removed part. */
export function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 1;
  for (const { segment } of letters.segment(text)) {
    used += letterWidth(segment);
    if (used > width) break;
    kept += segment;
  }
  return `${kept}…`;
}

function letterWidth(letter: string): number {
  if (/^\p{M}+$/u.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}

/** `1d 3h`, `12m 5s`: the two largest parts of a time in milliseconds. */
export function spoken(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0s";
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(" ");
}

/** A time, in milliseconds since the epoch, to the second, in UTC. */
export function moment(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

export interface Column {
  readonly title: string;
  /** Never shortened: IDs are there to be copied. */
  readonly whole?: boolean;
  /** For numbers. */
  readonly right?: boolean;
}

/** Null (unknown or missing) is shown as `-`. */
export type Cell = string | number | null;

const GAP = "  ";

/** Columns are not made narrower than this, to stay readable; lines may then overflow. */
const NARROWEST = 8;

/**
 * Formats aligned rows under titles. If `width` is given, the widest columns shrink until a line fits. Characters that
 * act on a terminal are escaped (text.ts), whatever their source.
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number | null): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(show))];
  const natural = columns.map((_, index) => Math.max(...cells.map((row) => widthOf(row[index] ?? ""))));
  const widths = width === null ? natural : fit(columns, natural, width);
  return cells
    .map((row) => columns.map((column, i) => pad(row[i] ?? "", widths[i] ?? 0, column)).join(GAP))
    .map((line) => line.trimEnd())
    .join("\n");
}

export type ColumnOf<Item> = Column & { readonly of: (item: Item) => Cell };

/** Formats a table with a row for each item. */
export function listing<Item>(
  columns: readonly ColumnOf<Item>[],
  items: readonly Item[],
  width: number | null,
): string {
  const rows = items.map((item) => columns.map(({ of }) => of(item)));
  return table(columns, rows, width);
}

/** Formats names and their values, one pair a line. */
export function facts(pairs: readonly (readonly [name: string, value: Cell])[]): string {
  const widest = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(widest)}${GAP}${show(value)}`).join("\n");
}

/** A line of `facts`; none if there is nothing to say. */
export function known(name: string, value: Cell): readonly (readonly [string, Cell])[] {
  return value === null ? [] : [[name, value]];
}

function show(cell: Cell): string {
  return cell === null ? "-" : neutral(String(cell));
}

function pad(text: string, width: number, { right, whole }: Column): string {
  const cut = whole === true ? text : shorten(text, width);
  const space = " ".repeat(Math.max(0, width - widthOf(cut)));
  return right === true ? space + cut : cut + space;
}

/** Shortens the widest shortenable column by one, repeatedly, until the line fits or nothing can be shortened. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (columns.length - 1) - width;
  for (; excess > 0; excess -= 1) {
    const candidates = columns.map(({ whole, right }, index) => (whole || right ? 0 : (widths[index] ?? 0)));
    const widest = Math.max(...candidates);
    if (widest <= NARROWEST) break;
    widths[candidates.indexOf(widest)] = widest - 1;
  }
  return widths;
}
