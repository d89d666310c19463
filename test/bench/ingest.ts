/**
 * `npm run bench:ingest`: how fast transactions are taken in, compared with what others use and with what is possible at all.
 * All take the same load in turn, several rounds; the ratios count, not the figures. `-- --million` has each of them take a
 * million events before its memory is looked at.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "../../scripts/build.ts";
import { TinyHomeserver } from "./homeserver.ts";
import { ensureMautrixGo, startMautrixGo } from "./mautrix-go.ts";
import { goals, table, type Measured } from "./report.ts";
import { Sender } from "./sender.ts";
import { startEmissary, startPeer, type Subject } from "./subject.ts";
import { TransactionMaker } from "./transactions.ts";

const ROUNDS = 7;
/** Events a transaction, how many transactions a round, and how many before the first one, for the compiler's sake. */
const LOADS = [
  { size: 1, count: 500, warmUp: 2_000 },
  { size: 100, count: 50, warmUp: 150 },
] as const;
const MILLION = process.argv.includes("--million") ? 1_000_000 : 0;

interface Entrant {
  readonly subject: Subject;
  readonly sender: Sender;
  readonly maker: TransactionMaker;
  readonly times: Map<number, number[]>;
  events: number;
}

const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-"));
const homeserver = new TinyHomeserver();
const entrants: Entrant[] = [];
try {
  const built = await build();
  if (!built.ok) throw new Error(built.output);
  const mautrixGo = await ensureMautrixGo();
  const homeserverUrl = await homeserver.start();
  const emissary = (durability: "full" | "process"): Promise<Subject> =>
    startEmissary({
      name: `emissary (${durability})`,
      folder: path.join(folder, durability),
      homeserverUrl,
      durability,
    });
  const starts = [
    () => emissary("full"),
    () => emissary("process"),
    () => startPeer("matrix-appservice-bridge", "bridge", homeserverUrl),
    () => startPeer("matrix-bot-sdk", "bot-sdk", homeserverUrl),
    ...(mautrixGo.binary === null ? [] : [() => startMautrixGo(mautrixGo.binary, folder, homeserverUrl)]),
    () => startPeer("bare node:http", "bare", homeserverUrl),
    () => startPeer("bare + fdatasync", "bare", homeserverUrl, path.join(folder, "bare.log")),
  ];
  for (const start of starts) {
    const subject = await start();
    const times = new Map(LOADS.map(({ size }) => [size, []]));
    entrants.push({ subject, sender: new Sender(subject), maker: new TransactionMaker(), times, events: 0 });
  }

  for (const { size, count, warmUp } of LOADS) {
    for (const entrant of entrants) await give(entrant, warmUp, size);
    for (let round = 0; round < ROUNDS; round += 1) {
      // Each round begins with another one, so that nobody always comes after the same neighbour.
      for (let turn = 0; turn < entrants.length; turn += 1) {
        const entrant = entrants[(round + turn) % entrants.length]!;
        const times = await give(entrant, count, size);
        entrant.times.get(size)?.push(median(times));
      }
    }
  }
  for (const entrant of entrants) {
    while (entrant.events < MILLION) await give(entrant, 200, 100);
  }

  const measured: Measured[] = entrants.map(({ subject, times, events }) => ({
    name: subject.name,
    perSecond: new Map([...times].map(([size, medians]) => [size, (size * 1_000) / median(medians)])),
    memory: subject.memory().now,
    events,
  }));
  console.log(table(measured));
  if (mautrixGo.binary === null) console.log(`\nmautrix-go is left out: ${mautrixGo.why}`);
  console.log(goals(measured));
} finally {
  for (const { sender, subject } of entrants) {
    sender.close();
    await subject.stop();
  }
  homeserver.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function give(entrant: Entrant, count: number, size: number): Promise<readonly number[]> {
  const transactions = entrant.maker.make(count, size);
  entrant.events += count * size;
  return entrant.sender.send(transactions);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
