/**
 * `npm run bench:fanout`: how soon an event is with 1, 10 and 100 tenants; and what happens when a tenant that was down takes the
 * 100,000 events that waited for it: how fast they go out, what memory that takes, and whether other tenants notice.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "../../scripts/build.ts";
import { quantile } from "./act-load.ts";
import { addTenant, ask, joinRoom } from "./act-tenant.ts";
import { machineNow, TenantServers } from "./fanout-tenants.ts";
import { Sender } from "./sender.ts";
import { ADMIN_TOKEN, startEmissary, startPeer, type Subject } from "./subject.ts";
import type { Transaction } from "./transactions.ts";

const FANS = [1, 10, 100] as const;
const TENANTS = 100;
const EVENTS_EACH = 60;
const QUEUED = 100_000;
const BATCH = 100;
/** What the tenant that was down takes for a transaction: a quick one, which writes it down. Milliseconds. */
const TENANT_DELAY = 10;
const PROBES = 400;
const PROBE_PAUSE_MS = 5;
const SETTLED_MS = 200;
const GOALS = { drain: 0.8, growth: 20, others: 1.25 };

/** Beside the hundred: the one that was down, and one that is not to notice. */
const DOWN = TENANTS;
const OTHER = TENANTS + 1;

let made = 0;
const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-"));
const stops: (() => Promise<void> | void)[] = [];
try {
  const built = await build();
  if (!built.ok) throw new Error(built.output);
  const homeserver = stopping(await startPeer("homeserver", "homeserver"));
  const servers = stopping(await TenantServers.start(TENANTS + 2));
  const homeserverUrl = `http://127.0.0.1:${homeserver.port}`;
  const emissary = stopping(
    await startEmissary({ name: "emissary", folder: path.join(folder, "emissary"), homeserverUrl }),
  );
  const sender = new Sender(emissary);
  stops.push(() => sender.close());
  for (const [index, port] of servers.ports.entries()) {
    const tenant = await addTenant(emissary, nameOf(index), `http://127.0.0.1:${port}`);
    const rooms = index < TENANTS ? FANS.filter((fan) => index < fan) : [nameOf(index)];
    for (const room of rooms) await joinRoom(emissary, tenant, roomOf(room));
  }

  console.log("from the homeserver's request to the last tenant's receipt, milliseconds");
  for (const fan of FANS) {
    const times: number[] = [];
    for (let event = 0; event < EVENTS_EACH; event += 1) {
      times.push(await timed(servers, sender, roomOf(fan), fan));
      await pause(PROBE_PAUSE_MS);
    }
    console.log(`  ${String(fan).padStart(3)} tenants  ${spread(times)}`);
  }

  const before = await probe(servers, sender, PROBES);
  const limit = await bareRate(servers);
  // Before the tenant knows that it is down it would take some, which would then be missing.
  await pause(SETTLED_MS);
  console.log(`\n${QUEUED.toLocaleString("en")} events for a tenant that is down …`);
  for (let sent = 0; sent < QUEUED; sent += BATCH * 50) {
    await sender.send(Array.from({ length: 50 }, () => transaction(roomOf(nameOf(DOWN)), BATCH)));
  }
  const started = emissary.memory().now;
  const growth = watchMemory(emissary, started);
  let [left, begun] = [QUEUED, 0];
  const drained = servers.until(({ tenant, events, at }) => {
    if (tenant !== DOWN) return false;
    if (begun === 0) begun = at;
    left -= events;
    return left <= 0;
  });
  servers.behave(DOWN, { down: false, delay: TENANT_DELAY });
  await hurry(emissary);
  let isOver = false;
  const end = drained.then(({ at }) => {
    isOver = true;
    return at;
  });
  const during = await probe(servers, sender, Infinity, () => isOver);
  const rate = QUEUED / (((await end) - begun) / 1_000);
  const grown = growth.stop();
  const after = await probe(servers, sender, PROBES);

  console.log(
    `  it took      ${Math.round(rate).toLocaleString("en")} events/s; alone, without Emissary, ${Math.round(limit).toLocaleString("en")}`,
  );
  console.log(`  RSS          ${started.toFixed(0)} MB before, ${(started + grown).toFixed(0)} MB at most`);
  console.log("  another tenant's event, milliseconds");
  console.log(`    before     ${spread(before)}`);
  console.log(`    meanwhile  ${spread(during)}`);
  console.log(`    after      ${spread(after)}\n`);
  const calm = Math.max(p99(before), p99(after));
  goal("drained as fast as the tenant takes it", rate / limit, GOALS.drain, (is, wanted) => is >= wanted);
  goal("memory while draining, MB more", grown, GOALS.growth, (is, wanted) => is <= wanted);
  goal("p99 of another tenant, to that without", p99(during) / calm, GOALS.others, (is, wanted) => is <= wanted);
} finally {
  for (const stop of stops.toReversed()) await stop();
  rmSync(folder, { recursive: true, force: true });
}

function stopping<T extends { stop(): Promise<void> }>(one: T): T {
  stops.push(() => one.stop());
  return one;
}

/** Milliseconds until so many tenants have been given one event of a room. */
async function timed(servers: TenantServers, sender: Sender, room: string, tenants: number): Promise<number> {
  let left = tenants;
  const last = servers.until(({ tenant }) => tenant !== DOWN && (left -= 1) === 0);
  const begun = machineNow();
  await sender.send([transaction(room, 1)]);
  return (await last).at - begun;
}

/** One event after another for the tenant that is not to notice. */
async function probe(
  servers: TenantServers,
  sender: Sender,
  count: number,
  isOver: () => boolean = () => false,
): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count && !isOver()) {
    times.push(await timed(servers, sender, roomOf(nameOf(OTHER)), 1));
    await pause(PROBE_PAUSE_MS);
  }
  return times;
}

/** Events a second that the slow tenant takes from somebody who has nothing else to do. It is down then. */
async function bareRate(servers: TenantServers): Promise<number> {
  servers.behave(DOWN, { down: false, delay: TENANT_DELAY });
  const direct = new Sender({ name: "tenant", port: servers.ports[DOWN] ?? 0 });
  try {
    const times = await direct.send(Array.from({ length: 100 }, () => transaction(roomOf(nameOf(DOWN)), BATCH)));
    return (BATCH * times.length * 1_000) / times.reduce((sum, time) => sum + time, 0);
  } finally {
    direct.close();
    servers.behave(DOWN, { down: true, delay: 0 });
  }
}

/** Has Emissary hear that the tenant is up again, which may hear of that itself only a moment later; it would wait a minute. */
async function hurry(emissary: Subject): Promise<void> {
  const path = `/_emissary/v1/tenants/${nameOf(DOWN)}/ping`;
  for (;;) {
    const { ok } = await ask(emissary.adminPort, "POST", path, ADMIN_TOKEN, {});
    if (ok === true) return;
    await pause(PROBE_PAUSE_MS);
  }
}

function watchMemory(subject: Subject, from: number): { stop(): number } {
  let most = from;
  const look = (): void => {
    most = Math.max(most, subject.memory().now);
  };
  const timer = setInterval(look, 200);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return most - from;
    },
  };
}

function transaction(room: string, events: number): Transaction {
  const list = Array.from({ length: events }, () => {
    made += 1;
    return {
      event_id: `$${made.toString().padStart(12, "0")}abcdefghijklmnopqrstuvwxyz01234`,
      room_id: room,
      sender: "@user:remote.example",
      type: "m.room.message",
      origin_server_ts: 1_780_000_000_000 + made,
      content: {
        msgtype: "m.text",
        body: `Message ${made}: so long that it looks like what people write to each other.`,
      },
      unsigned: { age: 80 },
    };
  });
  return { id: `fanout-${made}`, events, body: Buffer.from(JSON.stringify({ events: list, ephemeral: [] })) };
}

function nameOf(tenant: number): string {
  return `tenant-${tenant}`;
}

function roomOf(name: string | number): string {
  return `!room-of-${name}:ours.example`;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function p99(times: readonly number[]): number {
  return quantile(
    times.toSorted((a, b) => a - b),
    0.99,
  );
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return [0.5, 0.99].map((share) => `p${share * 100} ${quantile(sorted, share).toFixed(1).padStart(6)}`).join("  ");
}

function goal(text: string, is: number, wanted: number, isMet: (is: number, wanted: number) => boolean): void {
  console.log(`${isMet(is, wanted) ? "met    " : "not met"}  ${is.toFixed(2)} (${wanted.toFixed(2)})  ${text}`);
}
