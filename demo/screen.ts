/** What the demo shows, at most a hundred columns wide; and the count of its checks. */
import { table } from "../src/cli/text.ts";
import { jsonLines, shortenIds } from "./json.ts";

const WIDEST = 100;
const MARGIN = 3;
const HEARTBEAT_MS = 5_000;

const STYLES = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", magenta: "35", cyan: "36" } as const;
type Style = keyof typeof STYLES;

export type Row = Readonly<Record<string, string | number | null>>;

export class Screen {
  passed = 0;
  failed = 0;
  readonly #width: number;
  readonly #hasColors: boolean;
  /** Names that keep one color wherever they stand: both servers are called localhost and differ in the port only. */
  readonly #names = new Map<string, Style>();
  #isMuted = false;
  #step = 0;

  constructor(out: { readonly isTTY?: boolean; readonly columns?: number }, env: NodeJS.ProcessEnv) {
    const isTerminal = out.isTTY === true;
    this.#width = Math.min((isTerminal && out.columns) || WIDEST, WIDEST);
    this.#hasColors = isTerminal && (env["NO_COLOR"] ?? "") === "";
  }

  /** Where the demo was told to stop, what is still under way has nothing to say any more; only `farewell` and `failure` do. */
  mute(): void {
    this.#isMuted = true;
  }

  farewell(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  nameColors(names: Readonly<Record<string, Style>>): void {
    for (const [name, style] of Object.entries(names)) this.#names.set(name, style);
  }

  heading(title: string): void {
    this.#write(`\n${this.#styled("bold", title)}`);
  }

  /** A numbered step, with what it means for the reader. */
  step(title: string, meaning: string): void {
    this.#step += 1;
    this.heading(`${String(this.#step).padEnd(MARGIN)}${title}`);
    this.sentence(meaning);
  }

  sentence(text: string): void {
    for (const line of wrapped(text, this.#width - MARGIN)) this.#indented(this.#colored(line));
  }

  note(line: string): void {
    this.#indented(this.#styled("dim", `· ${line}`));
  }

  /** A line as it is, to be copied. */
  plain(line = ""): void {
    this.#write(line === "" ? "" : `   ${line}`);
  }

  request(who: string, whom: string, request: string, body: unknown): void {
    this.#indented("");
    this.#indented(`${this.#styled("yellow", who)} → ${whom}: ${this.#colored(shortenIds(request))}`);
    if (body !== undefined) this.#json(body);
  }

  answer(status: number, ms: number, body: unknown, isShortened: boolean): void {
    const head = `${status} after ${Math.round(ms)} ms${isShortened ? ", shortened" : ""}`;
    this.#indented(`  ${this.#styled(status < 400 ? "green" : "red", head)}`);
    this.#json(body);
  }

  command(line: string): void {
    this.#indented("");
    for (const [index, part] of wrapped(line, this.#width - MARGIN - 6).entries()) {
      this.#indented(this.#styled("yellow", index === 0 ? `$ ${part}` : `    ${part}`));
    }
  }

  output(text: string): void {
    const lines = shortenIds(text.trimEnd()).split("\n");
    for (const line of lines.flatMap((one) => wrapped(one, this.#width - MARGIN - 2))) {
      this.#indented(`  ${this.#colored(line)}`);
    }
  }

  rows(title: string, rows: readonly Row[]): void {
    this.#indented("");
    this.#indented(this.#styled("dim", `${title}${rows.length === 0 ? ": no rows" : ""}`));
    const columns = Object.keys(rows[0] ?? {}).map((column) => ({ title: column }));
    if (columns.length === 0) return;
    const cells = rows.map((row) =>
      Object.values(row).map((cell) => (typeof cell === "string" ? shortenIds(cell) : cell)),
    );
    for (const line of table(columns, cells, this.#width - MARGIN - 2).split("\n")) {
      this.#indented(`  ${this.#colored(line)}`);
    }
  }

  check(holds: boolean, sentence: string): void {
    if (this.#isMuted) return;
    if (holds) this.passed += 1;
    else this.failed += 1;
    const [first = "", ...rest] = wrapped(sentence, this.#width - MARGIN - 2);
    this.#indented(`${holds ? this.#styled("green", "✓") : this.#styled("red", "✗")} ${this.#colored(first)}`);
    for (const line of rest) this.#indented(`  ${this.#colored(line)}`);
  }

  failure(text: string): void {
    this.failed += 1;
    const [first = "", ...rest] = text.split("\n").flatMap((line) => wrapped(line, this.#width - MARGIN - 2));
    const margin = " ".repeat(MARGIN);
    this.farewell(margin + this.#styled("red", `✗ ${first}`));
    for (const line of rest) this.farewell(`${margin}  ${line}`);
  }

  /** Says what is waited for, and every few seconds that it still is. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    this.note(`${what} …`);
    return this.whileStill(what, work);
  }

  async whileStill<T>(what: string, work: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const seconds = (): number => (performance.now() - startedAt) / 1000;
    const heartbeat = setInterval(() => this.note(`… still ${what} (${Math.round(seconds())} s)`), HEARTBEAT_MS);
    try {
      return await work;
    } finally {
      clearInterval(heartbeat);
    }
  }

  #json(value: unknown): void {
    const width = this.#width - MARGIN - 2;
    // A text cannot be broken in JSON; here it may run over two lines all the same.
    for (const line of jsonLines(value, width).flatMap((one) => wrapped(one, width))) {
      this.#indented(`  ${this.#colored(line)}`);
    }
  }

  #indented(line: string): void {
    this.#write(line === "" ? "" : " ".repeat(MARGIN) + line);
  }

  #write(line: string): void {
    if (!this.#isMuted) process.stdout.write(`${line}\n`);
  }

  #colored(text: string): string {
    if (!this.#hasColors) return text;
    let colored = text;
    for (const [name, style] of this.#names) colored = colored.replaceAll(name, this.#styled(style, name));
    return colored;
  }

  #styled(style: Style, text: string): string {
    return this.#hasColors ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
  }
}

/** Broken between words, each line as far in as the first; a word longer than a line stays whole. */
function wrapped(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const indent = /^ */.exec(text)?.[0] ?? "";
  const lines: string[] = [];
  let line = "";
  for (const word of text.trimStart().split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, indent + line];
}
