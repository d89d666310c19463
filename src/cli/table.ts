import { neutral, shorten, widthOf } from "./text.ts";

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
    .map((row) =>
      columns
        .map((column, i) => pad(row[i] ?? "", widths[i] ?? 0, column))
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

/** Formats names and their values, one pair a line. */
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

/** Shortens the widest shortenable column by one, repeatedly, until the line fits or nothing can be shortened. */
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
