/** What one of the entrants made of the load. */
export interface Measured {
  readonly name: string;
  /** Events a second, by the number of events a transaction. */
  readonly perSecond: ReadonlyMap<number, number>;
  /** Resident megabytes at the end. */
  readonly memory: number;
  readonly events: number;
}

const FULL = "emissary (full)";
const PROCESS = "emissary (process)";
const BRIDGE = "matrix-appservice-bridge";
const BOT_SDK = "matrix-bot-sdk";
const MAUTRIX_GO = "mautrix-go";
const LIMIT = "bare + fdatasync";

export function table(measured: readonly Measured[]): string {
  const bridge = measured.find(({ name }) => name === BRIDGE);
  const head = ["", "1 a transaction", "to the bridge", "100 a transaction", "to the bridge", "RSS"];
  const rows = measured.map((one) => [
    one.name,
    ...[1, 100].flatMap((size) => [
      `${Math.round(rate(one, size)).toLocaleString("en")} ev/s`,
      (rate(one, size) / rate(bridge, size)).toFixed(2),
    ]),
    `${one.memory.toFixed(0)} MB`,
  ]);
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

/** One line a goal: the ratio, what it should be, and whether it is. None for a goal whose peer is not there. */
export function goals(measured: readonly Measured[]): string {
  const of = (name: string): Measured | undefined => measured.find((one) => one.name === name);
  const ratio = (name: string, to: string, size: number): number => rate(of(name), size) / rate(of(to), size);
  const memory = (name: string): number => of(name)?.memory ?? NaN;
  const events = Math.min(...measured.map((one) => one.events)).toLocaleString("en");
  return [
    "",
    goal("full, 1 event: at least 0.75 of matrix-appservice-bridge", ratio(FULL, BRIDGE, 1), 0.75),
    goal("full, 1 event: at least 0.8 of bare + fdatasync", ratio(FULL, LIMIT, 1), 0.8),
    goal("full, 100 events: ahead of matrix-appservice-bridge", ratio(FULL, BRIDGE, 100), 1),
    ...(of(MAUTRIX_GO) === undefined
      ? []
      : [goal("full, 100 events: ahead of mautrix-go", ratio(FULL, MAUTRIX_GO, 100), 1)]),
    goal("process, 1 event: ahead of matrix-appservice-bridge", ratio(PROCESS, BRIDGE, 1), 1),
    goal("process, 100 events: ahead of matrix-appservice-bridge", ratio(PROCESS, BRIDGE, 100), 1),
    goal(`RSS after ${events} events: below matrix-bot-sdk`, memory(BOT_SDK) / memory(FULL), 1),
    goal(`RSS after ${events} events: below matrix-appservice-bridge`, memory(BRIDGE) / memory(FULL), 1),
  ].join("\n");
}

function rate(one: Measured | undefined, size: number): number {
  return one?.perSecond.get(size) ?? NaN;
}

function goal(text: string, is: number, wanted: number): string {
  return `${is >= wanted ? "met    " : "not met"}  ${is.toFixed(2)} (${wanted.toFixed(2)})  ${text}`;
}
