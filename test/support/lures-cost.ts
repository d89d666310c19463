import { statSync } from "node:fs";
import type { SeenRequest } from "./fake-homeserver.ts";

/** What an attack cost, what its bystanders did left out. */
export interface Cost {
  readonly joins: number;
  readonly leaves: number;
  /** Requests to the homeserver, by method and path with the names left out. */
  readonly requests: ReadonlyMap<string, number>;
  readonly asked: number;
  /** The most memory that the daemon held, bytes. */
  readonly memory: number;
  /** The database's files, bytes. */
  readonly disk: number;
  readonly journal: number;
  /** Rows that came to be, by table. */
  readonly rows: Readonly<Record<string, number>>;
}

/** Whether it is about those who only look on. */
export function isBystanders({ headers, url }: SeenRequest): boolean {
  return /token-of-bystander-/.test(headers.authorization ?? "") || /ordinary-\d+\.test/.test(decodeURIComponent(url));
}

/** The path with the names left out. */
export function kindOf({ path }: SeenRequest): string {
  return path
    .replace(/^\/_matrix\/client\/[^/]+\//, "")
    .split("/")
    .map((part) => decodeURIComponent(part))
    .map((part) => (/^[!#@$]/.test(part) ? part.slice(0, 1) : part))
    .join("/");
}

/** Bytes; none for a file that is not there. */
export function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

export function print(what: string, cost: Cost, times: { usual: number[]; reads: number[]; opened: number[] }): void {
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const few = (entries: Iterable<readonly [string, number]>): string =>
    [...entries]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 6)
      .map(([name, times]) => `${name} ${times}`)
      .join(", ");
  const [usual, during] = [median(times.usual), median(times.reads)];
  const ratio = during / usual;
  const lines = [
    what,
    `  joins ${cost.joins}, leaves ${cost.leaves}, requests ${cost.asked} (${few(cost.requests)})`,
    `  memory ${mib(cost.memory)}, database ${mib(cost.disk)}, journal ${mib(cost.journal)}; rows: ${few(Object.entries(cost.rows))}`,
    `  a look: ${usual.toFixed(1)} ms before, ${during.toFixed(1)} ms during (× ${ratio.toFixed(1)}, ${times.reads.length} looks); ` +
      `opening a room: ${median(times.opened).toFixed(0)} ms (${times.opened.length})`,
    ...(ratio > 2 ? [`  WARNING: looks took more than twice their usual time`] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
