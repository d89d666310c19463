import { neutral, shorten, widthOf } from "./text.ts";

export interface Column {
  readonly title: string;
  /** Never shortened: IDs are there to be copied. */
  readonly whole?: boolean;
  /** For numbers. */
  readonly right?: boolean;
}

/** Null, for what is not known or not there, is shown as `-`. */
export type Cell = string | number | null;

const GAP = "  ";

/** A column is not shortened below this, so that something of it can be read; then lines rather run over. */
const NARROWEST = 8;

/**
 * Rows under titles, aligned. Where a terminal's width is given, the widest columns are shortened until a line fits it.
 * What acts on a terminal is written out (text.ts), whoever it came from.
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number | null): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(show))];
  const natural = columns.map((_, index) => Math.max(...cells.map((row) => widthOf(row[index] ?? ""))));
  const widths = width === null ? natural : fit(columns, natural, width);
  return cells
    .map((row) =>
      columns
        .map((column, i) => pad(row[i] ?? "", widths[i] ?? 0, column))
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

/** Names and their values below each other. */
export function facts(pairs: readonly (readonly [name: string, value: Cell])[]): string {
  const widest = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(widest)}${GAP}${show(value)}`).join("\n");
}

function show(cell: Cell): string {
  return cell === null ? "-" : neutral(String(cell));
}

function pad(text: string, width: number, { right, whole }: Column): string {
  const cut = whole === true ? text : shorten(text, width);
  const space = " ".repeat(Math.max(0, width - widthOf(cut)));
  return right === true ? space + cut : cut + space;
}

/** Takes columns off the widest that may be shortened, one at a time, until the line fits or nothing can be taken. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (columns.length - 1) - width;
  while (excess > 0) {
    const candidates = widths.map((one, index) =>
      columns[index]?.whole === true || columns[index]?.right === true ? 0 : one,
    );
    const widest = Math.max(...candidates);
    if (widest <= NARROWEST) break;
    widths[candidates.indexOf(widest)] = widest - 1;
    excess -= 1;
  }
  return widths;
}
