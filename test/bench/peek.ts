/**
 * `npm run bench:peek`: what it costs to look into a room of another server, on two real Synapses. Each comparison is made in turn on the
 * same machine; the ratios count, not the figures. `npm run bench:peek -- live 200 20` measures only how 200 users follow 20 rooms,
 * `-- crowded` only first looks into rooms of many members, `-- cost` what Emissary alone works, beside a made-up homeserver.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Agent, request } from "undici";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { build } from "../../scripts/build.ts";
import { openStage, type Stage } from "../support/stage.ts";
import { quantile } from "./act-load.ts";
import { costTable, measureCosts } from "./peek-cost.ts";
import { liveTable, measureLive } from "./peek-live.ts";
import { startPeer } from "./subject.ts";

const ROOMS = 9;
const MESSAGES = 30;
const READS = 200;
const WARM_UP = 20;
const CLIENTS = 1_000;
const LIMIT = 20;
const MEMBERS = 1_000;
const CROWDED_ROOMS = 5;

const agent = new Agent({ connections: 256, headersTimeout: 120_000, bodyTimeout: 120_000 });

const built = await build();
if (!built.ok) throw new Error(built.output);
const [only, users = "1000", rooms = "100", rate = "20"] = process.argv.slice(2);
if (only === "cost") {
  const load = { users: 40, rooms: 4, rate: 20, seconds: 10 };
  console.log(costTable(load, await measureCosts(load)));
} else {
  await onServers();
}

async function onServers(): Promise<void> {
  // Without its limit of rooms a user: a few users look into all of them.
  const stage = await openStage({
    settings: { gateway: { front_door: true }, peek: { rooms_per_user: 1_000, wait: "2m" } },
    synapse: { modules: [{ module: "crowd.Crowd" }] },
  });
  try {
    if (only === undefined) await measure(stage);
    if (only !== "live") await measureCrowded(stage);
    if (only !== "crowded") await follow(stage);
  } finally {
    await agent.close();
    await stage.close();
  }
}

async function follow(stage: Stage): Promise<void> {
  const figures = await measureLive(stage, {
    users: Number(users),
    rooms: Number(rooms),
    rate: Number(rate),
    seconds: 15,
  });
  console.log(
    `\n${users} users follow ${rooms} rooms with ${rate} messages a second in all; deliveries, and for each its CPU`,
  );
  console.log(`${liveTable(figures)}\n`);
  const [joined, sync, events] = [figures.get("joined")!, figures.get("sync")!, figures.get("events")!];
  goal(
    "deliveries a second to joined users, of those to peekers (MSC2753), at most",
    joined.perSecond / sync.perSecond,
    1,
  );
  goal(
    "deliveries a second to joined users, of those to legacy peekers, at most",
    joined.perSecond / events.perSecond,
    1,
  );
  goal("CPU for a delivery at most 0.3 ms (MSC2753)", sync.ours, 0.3);
  goal("CPU for a delivery at most 0.3 ms (legacy)", events.ours, 0.3);
}

async function measure(stage: Stage): Promise<void> {
  const { emissary, ours, theirs, pseudouser } = stage;
  const gateway = emissary.gatewayUrl;
  const bob = await stage.user(theirs, "bob");
  const alice = await stage.user(ours, "alice");
  const via = `via=${theirs.serverName}`;
  const rooms: string[] = [];
  for (let n = 0; n < 2 * ROOMS + 2; n += 1) rooms.push(await furnished(bob));

  // Whatever is slow the first time is not what is measured.
  await firstPeek(gateway, alice, rooms.pop()!, via);
  await ordinary(ours.url, alice, rooms.pop()!, via);
  const first = { join: [] as number[], peek: [] as number[] };
  const peeked: string[] = [];
  for (let n = 0; n < ROOMS; n += 1) {
    const [one, other] = [rooms.pop()!, rooms.pop()!];
    const join = async (): Promise<void> => void first.join.push(await ordinary(ours.url, alice, one, via));
    const peek = async (): Promise<void> => void first.peek.push(await firstPeek(gateway, alice, other, via));
    for (const turn of n % 2 === 0 ? [join, peek] : [peek, join]) await turn();
    peeked.push(other);
  }

  const room = encodeURIComponent(peeked[0]!);
  const proxy = await startPeer("undici proxy", "undici-proxy", ours.url);
  const doors = [ours.url, `http://127.0.0.1:${proxy.port}`, gateway];
  const reads = {
    initialSync: `/_matrix/client/v3/rooms/${room}/initialSync?limit=${LIMIT}`,
    "state/m.room.name": `/_matrix/client/v3/rooms/${room}/state/m.room.name/`,
    "/sync": `/_matrix/client/v3/sync?timeout=0&filter=${encodeURIComponent('{"room":{"timeline":{"limit":1}}}')}`,
  };
  const added: Record<keyof typeof reads, number> = { initialSync: NaN, "state/m.room.name": NaN, "/sync": NaN };
  const lines: string[] = [];
  for (const name of Object.keys(reads) as (keyof typeof reads)[]) {
    const [direct = NaN, bare = NaN, passed = NaN] = await inTurn(alice, doors, reads[name]);
    added[name] = passed - direct;
    lines.push(`  ${name.padEnd(36)} ${[direct, bare - direct, passed - direct].map(ms).join(" ")}`);
  }
  await proxy.stop();

  const crowd: MatrixUser[] = [];
  for (let n = 0; n < CLIENTS; n += 50) {
    const some = Array.from({ length: 50 }, (_, at) => stage.user(ours, `user-${n + at}`));
    crowd.push(...(await Promise.all(some)));
  }
  const square = await furnished(bob);
  const sendJoins = (): number =>
    readFileSync(path.join(theirs.dir, "hs.log"), "utf8").split("PUT /_matrix/federation/v2/send_join/").length;
  const before = sendJoins();
  const target = `/_matrix/client/v3/rooms/${encodeURIComponent(square)}/initialSync?limit=${LIMIT}`;
  const together = async (base: string, query: string): Promise<number> => {
    const begun = performance.now();
    await Promise.all(crowd.map((one) => get(base, one, `${target}${query}`)));
    return performance.now() - begun;
  };
  const crowded = await together(gateway, `&${via}`);
  const direct = await together(ours.url, "");
  const again = await together(gateway, "");
  const joins = sendJoins() - before;
  const ofOurs = (await bob.members(square)).filter(({ state_key }) => state_key?.endsWith(`:${ours.serverName}`));
  if (ofOurs.some(({ state_key }) => state_key !== pseudouser)) throw new Error("a user of ours is in the room");

  const [join, peek] = [median(first.join), median(first.peek)];
  const share = median(first.peek.map((ms, n) => ms / first.join[n]!));
  console.log(`a room of another server, ${MESSAGES} messages; medians of ${ROOMS} in turn, milliseconds`);
  console.log(`  join and /messages, an ordinary user   ${join.toFixed(0).padStart(6)}`);
  console.log(`  first peek                             ${peek.toFixed(0).padStart(6)}   ${share.toFixed(2)} of that`);
  console.log(
    `\nread again; p50 of ${READS} each in turn, milliseconds: the homeserver; added by a bare undici proxy, by the gateway`,
  );
  for (const line of lines) console.log(line);
  console.log(`\n${CLIENTS} users peek into one room at once: seconds until all have it`);
  console.log(`  nobody was there before                ${seconds(crowded)}   ${joins} join at the other server`);
  console.log(`  again                                  ${seconds(again)}`);
  console.log(`  the homeserver asked directly          ${seconds(direct)}\n`);
  goal("first peek at most 1.2 of join and backfill", share, 1.2);
  goal("second peek adds at most 2 ms at p50", added.initialSync, 2);
  goal("/sync pass-through adds at most 1 ms at p50", added["/sync"], 1);
  goal(`${CLIENTS} users at once: one join`, joins, 1);
}

/** A room of many members: the first look into one, beside an ordinary user's join of one that is as large. */
async function measureCrowded({ emissary, ours, theirs, ...stage }: Stage): Promise<void> {
  const bob = await stage.user(theirs, "bob-of-crowds");
  const alice = await stage.user(ours, "alice-of-crowds");
  const via = `via=${theirs.serverName}`;
  const crowded = async (): Promise<string> => {
    const roomId = await furnished(bob);
    await ask("POST", theirs.url, bob, "/_test/crowd", { room_id: roomId, members: MEMBERS });
    await bob.sendText(roomId, "after all others");
    return roomId;
  };
  // The other server's keys and Emissary's ways are known before.
  await ordinary(ours.url, alice, await crowded(), via);
  await firstPeek(emissary.gatewayUrl, alice, await crowded(), via, 1);
  const took = { join: [] as number[], peek: [] as number[] };
  for (let n = 0; n < CROWDED_ROOMS; n += 1) {
    const [one, other] = [await crowded(), await crowded()];
    const join = async (): Promise<void> => void took.join.push(await ordinary(ours.url, alice, one, via));
    const peek = async (): Promise<void> =>
      void took.peek.push(await firstPeek(emissary.gatewayUrl, alice, other, via, 1));
    for (const turn of n % 2 === 0 ? [join, peek] : [peek, join]) await turn();
  }
  const share = median(took.peek.map((ms, n) => ms / took.join[n]!));
  console.log(`\na room of ${MEMBERS} members of another server; medians of ${CROWDED_ROOMS} in turn, milliseconds`);
  console.log(`  join and /messages, an ordinary user   ${median(took.join).toFixed(0).padStart(6)}`);
  console.log(
    `  first peek                             ${median(took.peek).toFixed(0).padStart(6)}   ${share.toFixed(2)} of that`,
  );
  goal(`first peek into ${MEMBERS} members at most 1.1 of join and backfill`, share, 1.1);
}

async function furnished(bob: MatrixUser): Promise<string> {
  const visibility = { history_visibility: "world_readable" };
  const roomId = await bob.createRoom({
    preset: "public_chat",
    name: "A room",
    initial_state: [{ type: "m.room.history_visibility", state_key: "", content: visibility }],
  });
  for (let n = 0; n < MESSAGES; n += 1) await bob.sendText(roomId, `message ${n}`);
  return roomId;
}

async function ordinary(base: string, alice: MatrixUser, room: string, via: string): Promise<number> {
  const begun = performance.now();
  await ask("POST", base, alice, `/_matrix/client/v3/join/${encodeURIComponent(room)}?${via}`);
  await get(base, alice, `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/messages?dir=b&limit=${LIMIT}`);
  return performance.now() - begun;
}

async function firstPeek(
  base: string,
  alice: MatrixUser,
  room: string,
  via: string,
  history = LIMIT / 2,
): Promise<number> {
  const begun = performance.now();
  const target = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/initialSync?limit=${LIMIT}&${via}`;
  const { messages } = (await get(base, alice, target)) as { messages: { chunk: unknown[] } };
  const took = performance.now() - begun;
  if (messages.chunk.length < history) throw new Error("a peek has no history");
  return took;
}

/** p50 of asking at each address. */
async function inTurn(alice: MatrixUser, bases: readonly string[], target: string): Promise<number[]> {
  const took = bases.map((): number[] => []);
  for (let n = 0; n < READS + WARM_UP; n += 1) {
    for (let turn = 0; turn < bases.length; turn += 1) {
      const at = (n + turn) % bases.length;
      const begun = performance.now();
      await get(bases[at]!, alice, target);
      if (n >= WARM_UP) took[at]!.push(performance.now() - begun);
    }
  }
  return took.map(median);
}

function get(base: string, as: MatrixUser, target: string): Promise<unknown> {
  return ask("GET", base, as, target);
}

async function ask(
  method: "GET" | "POST",
  base: string,
  as: MatrixUser,
  target: string,
  content: unknown = {},
): Promise<unknown> {
  const { statusCode, body } = await request(`${base}${target}`, {
    method,
    dispatcher: agent,
    headers: {
      authorization: `Bearer ${as.accessToken}`,
      ...(method === "POST" ? { "content-type": "application/json" } : {}),
    },
    body: method === "POST" ? JSON.stringify(content) : null,
  });
  const answer = await body.json();
  if (statusCode !== 200) throw new Error(`${method} ${target}: ${statusCode} ${JSON.stringify(answer)}`);
  return answer;
}

function median(figures: readonly number[]): number {
  return quantile(
    [...figures].sort((a, b) => a - b),
    0.5,
  );
}

function ms(figure: number): string {
  return figure.toFixed(2).padStart(7);
}

function seconds(figure: number): string {
  return (figure / 1_000).toFixed(1).padStart(6);
}

function goal(text: string, is: number, most: number): void {
  console.log(`${is <= most ? "met    " : "not met"}  ${is.toFixed(2)} (${most.toFixed(2)})  ${text}`);
}
