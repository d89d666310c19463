/**
 * `npm run bench:act`: what it costs that a tenant writes through Emissary's gateway, with permission, attribution and audit, in
 * place of asking the homeserver itself. Beside it two proxies that do nothing but pass. All take the same load in turn, several
 * rounds; the ratios count, not the figures.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "../../scripts/build.ts";
import { quantile, Writer, type Burst } from "./act-load.ts";
import { addTenant, joinRoom } from "./act-tenant.ts";
import { startEmissary, startPeer, type Subject } from "./subject.ts";

const ROUNDS = 5;
const CONCURRENCIES = [1, 16, 64] as const;
const BURST_MS = 350;
const WARM_UP_MS = 2_000;
const ROOM = "!room:ours.example";

const DIRECT = "direct";
const UNDICI = "undici proxy";
const FASTIFY = "@fastify/http-proxy";
const GATEWAY = "emissary";
const GOALS = [
  { to: UNDICI, least: 0.8, text: "at least 0.8 of a bare undici proxy" },
  { to: FASTIFY, least: 1, text: "ahead of @fastify/http-proxy" },
];

interface Entrant {
  readonly name: string;
  readonly subject: Subject;
  readonly writer: Writer;
  readonly bursts: Map<number, Burst[]>;
  /** What its process worked in all of them, by concurrency, milliseconds. */
  readonly work: Map<number, number>;
}

const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-"));
const subjects: Subject[] = [];
const entrants: Entrant[] = [];
try {
  const built = await build();
  if (!built.ok) throw new Error(built.output);
  const homeserver = await started(startPeer(DIRECT, "homeserver"));
  const homeserverUrl = `http://127.0.0.1:${homeserver.port}`;
  const emissary = await started(startEmissary({ name: GATEWAY, folder: path.join(folder, GATEWAY), homeserverUrl }));
  const tenant = await addTenant(emissary, "bench");
  await joinRoom(emissary, tenant, ROOM);
  const doors = [
    homeserver,
    await started(startPeer(UNDICI, "undici-proxy", homeserverUrl)),
    await started(startPeer(FASTIFY, "http-proxy", homeserverUrl)),
    emissary,
  ];
  for (const subject of doors) {
    const { name, port, gatewayPort } = subject;
    const writer = new Writer(gatewayPort === 0 ? port : gatewayPort, ROOM, tenant.asToken);
    const bursts = new Map(CONCURRENCIES.map((concurrency) => [concurrency, []]));
    entrants.push({ name, subject, writer, bursts, work: new Map() });
  }

  for (const { writer } of entrants) await writer.burst(16, WARM_UP_MS);
  for (const concurrency of CONCURRENCIES) {
    for (let round = 0; round < ROUNDS; round += 1) {
      // Each round begins with another one, so that nobody always comes after the same neighbour.
      for (let turn = 0; turn < entrants.length; turn += 1) {
        const { subject, writer, bursts, work } = entrants[(round + turn) % entrants.length]!;
        const before = subject.cpu();
        bursts.get(concurrency)?.push(await writer.burst(concurrency, BURST_MS));
        work.set(concurrency, (work.get(concurrency) ?? 0) + subject.cpu() - before);
      }
    }
  }

  console.log(
    "writes a second; p50 and p99 of one in milliseconds (medians of the rounds); processor time of the process for one",
  );
  for (const concurrency of CONCURRENCIES) {
    console.log(`\n${concurrency} at once`);
    for (const { name, bursts, work } of entrants) {
      const writes = bursts.get(concurrency)?.reduce((sum, burst) => sum + burst.writes, 0) ?? NaN;
      const each = Math.round((1_000 * (work.get(concurrency) ?? NaN)) / writes);
      const rate = Math.round(of(name, concurrency, "perSecond")).toLocaleString("en");
      const [p50, p99] = [of(name, concurrency, "p50").toFixed(2), of(name, concurrency, "p99").toFixed(2)];
      const share = ratio(name, UNDICI, concurrency).toFixed(2);
      console.log(
        `  ${name.padEnd(20)} ${rate.padStart(7)}/s  p50 ${p50.padStart(6)}  p99 ${p99.padStart(6)}  ${String(each).padStart(4)} µs  ${share} of undici`,
      );
    }
  }
  console.log("");
  for (const { to, least, text } of GOALS) {
    for (const concurrency of CONCURRENCIES) {
      const is = ratio(GATEWAY, to, concurrency);
      const word = is >= least ? "met    " : "not met";
      console.log(`${word}  ${is.toFixed(2)} (${least.toFixed(2)})  ${concurrency} at once: ${text}`);
    }
  }
} finally {
  for (const { writer } of entrants) await writer.close();
  for (const subject of subjects.toReversed()) await subject.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function started(starting: Promise<Subject>): Promise<Subject> {
  const subject = await starting;
  subjects.push(subject);
  return subject;
}

function of(name: string, concurrency: number, figure: keyof Burst): number {
  const bursts = entrants.find((entrant) => entrant.name === name)?.bursts.get(concurrency) ?? [];
  return quantile(
    bursts.map((burst) => burst[figure]).sort((a, b) => a - b),
    0.5,
  );
}

/** Of the rounds the median ratio: neighbours in a round had the same machine. */
function ratio(name: string, to: string, concurrency: number): number {
  const [mine, theirs] = [name, to].map(
    (one) => entrants.find((entrant) => entrant.name === one)?.bursts.get(concurrency) ?? [],
  );
  const ratios = (mine ?? []).map((burst, round) => burst.perSecond / (theirs?.[round]?.perSecond ?? NaN));
  return quantile(
    ratios.sort((a, b) => a - b),
    0.5,
  );
}
