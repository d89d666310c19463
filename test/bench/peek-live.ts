import { readFileSync } from "node:fs";
import { Agent, request } from "undici";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import type { Stage } from "../support/stage.ts";
import { quantile } from "./act-load.ts";

export interface LiveLoad {
  readonly users: number;
  readonly rooms: number;
  /** Messages a second, over all rooms. */
  readonly rate: number;
  readonly seconds: number;
}

/** What a crowd that follows rooms was told, and what that took. */
export interface LiveFigures {
  /** Messages told, each to each user. */
  readonly deliveries: number;
  readonly wanted: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds of a processor for each delivery. */
  readonly ours: number;
  readonly homeserver: number;
}

type Way = "joined" | "sync" | "events";

const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
/** What is not told by then is not told. */
const PATIENCE_MS = 60_000;
const WARM_UP_SECONDS = 10;

/**
 * As many users follow as many rooms as joined members over the homeserver's `/sync`, as MSC2753 peekers over the gateway's, and as legacy
 * peekers over its `/events`, one crowd after the other on the same two Synapses. The rooms are the other server's.
 */
export async function measureLive(stage: Stage, load: LiveLoad): Promise<ReadonlyMap<Way, LiveFigures>> {
  const agent = new Agent({ connections: load.users, headersTimeout: 120_000, bodyTimeout: 120_000 });
  try {
    const bob = await stage.user(stage.theirs, "live-bob");
    const figures = new Map<Way, LiveFigures>();
    for (const way of ["joined", "sync", "events"] as const) {
      figures.set(way, await new Crowd(stage, load, way, agent).measure(bob));
    }
    return figures;
  } finally {
    await agent.close();
  }
}

class Crowd {
  readonly #stage: Stage;
  readonly #load: LiveLoad;
  readonly #way: Way;
  readonly #agent: Agent;
  readonly #latencies: number[] = [];
  #isOver = false;
  #last = 0;

  constructor(stage: Stage, load: LiveLoad, way: Way, agent: Agent) {
    this.#stage = stage;
    this.#load = load;
    this.#way = way;
    this.#agent = agent;
  }

  async measure(bob: MatrixUser): Promise<LiveFigures> {
    const { users, rooms, rate, seconds } = this.#load;
    const { ours, theirs, emissary } = this.#stage;
    const squares: string[] = [];
    for (let n = 0; n < rooms; n += 1) squares.push(await furnished(bob));
    const followers: Promise<void>[] = [];
    for (let n = 0; n < users; n += 25) {
      const some = Array.from({ length: Math.min(25, users - n) }, async (_, at) => {
        const user = await this.#stage.user(ours, `${this.#way}-${n + at}`);
        const square = squares[(n + at) % rooms]!;
        const from = await this.#enter(user, square, theirs.serverName);
        followers.push(this.#follow(user, square, from));
      });
      await Promise.all(some);
    }
    // Until whatever the entering caused is over, and V8 has compiled what each message takes.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await this.#speak(bob, squares, WARM_UP_SECONDS);
    await this.#untilTold((rate * WARM_UP_SECONDS * users) / rooms);
    this.#latencies.length = 0;

    const before = { ours: cpuOf(emissary.pid), homeserver: cpuOf(ours.pid) };
    const begun = performance.now();
    await this.#speak(bob, squares, seconds);
    const wanted = (rate * seconds * users) / rooms;
    await this.#untilTold(wanted);
    const after = { ours: cpuOf(emissary.pid), homeserver: cpuOf(ours.pid) };
    this.#isOver = true;
    // Ends the polls that wait.
    for (const square of squares) await bob.sendText(square, "over");
    await Promise.all(followers);
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    const deliveries = sorted.length;
    return {
      deliveries,
      wanted,
      perSecond: (deliveries / (this.#last - begun)) * 1_000,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      ours: (after.ours - before.ours) / deliveries,
      homeserver: (after.homeserver - before.homeserver) / deliveries,
    };
  }

  async #speak(bob: MatrixUser, squares: readonly string[], seconds: number): Promise<void> {
    const { rate } = this.#load;
    const begun = performance.now();
    const sends: Promise<unknown>[] = [];
    for (let n = 0; n < rate * seconds; n += 1) {
      const at = begun + (n / rate) * 1_000;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
      sends.push(bob.sendText(squares[n % squares.length]!, `sent ${performance.now()}`));
    }
    await Promise.all(sends);
  }

  async #untilTold(wanted: number): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.#latencies.length < wanted && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Resolves with where to follow on from. */
  async #enter(user: MatrixUser, roomId: string, via: string): Promise<string> {
    const { ours, emissary } = this.#stage;
    const room = encodeURIComponent(roomId);
    if (this.#way === "joined") {
      await this.#ask("POST", ours.url, user, `/_matrix/client/v3/join/${room}?via=${via}&server_name=${via}`);
      return String((await this.#ask("GET", ours.url, user, "/_matrix/client/v3/sync?timeout=0"))["next_batch"]);
    }
    if (this.#way === "events") {
      const target = `/_matrix/client/v3/rooms/${room}/initialSync?limit=20&via=${via}`;
      const { messages } = (await this.#ask("GET", emissary.gatewayUrl, user, target)) as { messages: { end: string } };
      return messages.end;
    }
    await this.#ask("POST", emissary.gatewayUrl, user, `${UNSTABLE}/peek/${room}?via=${via}`);
    const first = await this.#ask("GET", emissary.gatewayUrl, user, "/_matrix/client/v3/sync?timeout=0");
    return String(first["next_batch"]);
  }

  async #follow(user: MatrixUser, roomId: string, from: string): Promise<void> {
    const base = this.#way === "joined" ? this.#stage.ours.url : this.#stage.emissary.gatewayUrl;
    const room = encodeURIComponent(roomId);
    for (let next = from; !this.#isOver;) {
      const position = encodeURIComponent(next);
      const target =
        this.#way === "events"
          ? `/_matrix/client/v3/events?room_id=${room}&timeout=30000&from=${position}`
          : `/_matrix/client/v3/sync?timeout=30000&since=${position}`;
      const answer = await this.#ask("GET", base, user, target);
      const now = performance.now();
      for (const sent of sentIn(JSON.stringify(answer))) {
        this.#latencies.push(now - sent);
        this.#last = now;
      }
      next = String(answer[this.#way === "events" ? "end" : "next_batch"]);
    }
  }

  async #ask(method: "GET" | "POST", base: string, as: MatrixUser, target: string): Promise<Record<string, unknown>> {
    const { statusCode, body } = await request(`${base}${target}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        authorization: `Bearer ${as.accessToken}`,
        ...(method === "POST" ? { "content-type": "application/json" } : {}),
      },
      body: method === "POST" ? "{}" : null,
    });
    const answer = (await body.json()) as Record<string, unknown>;
    if (statusCode !== 200) throw new Error(`${method} ${target}: ${statusCode} ${JSON.stringify(answer)}`);
    return answer;
  }
}

function sentIn(answer: string): number[] {
  return [...answer.matchAll(/"body":"sent ([\d.]+)"/g)].map(([, at]) => Number(at));
}

async function furnished(bob: MatrixUser): Promise<string> {
  const visibility = { history_visibility: "world_readable" };
  return bob.createRoom({
    preset: "public_chat",
    name: "A room",
    initial_state: [{ type: "m.room.history_visibility", state_key: "", content: visibility }],
  });
}

/** Milliseconds that a processor worked for a process; NaN where there is no /proc. */
function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return NaN;
  }
}

export function liveTable(figures: ReadonlyMap<Way, LiveFigures>): string {
  const names: Readonly<Record<Way, string>> = {
    joined: "joined, the homeserver's /sync",
    sync: "peeking, /sync (MSC2753)",
    events: "peeking, /events",
  };
  const head = ["", "told", "a second", "p50 ms", "p99 ms", "CPU ms", "homeserver's"];
  const rows = [...figures].map(([way, of]) => [
    names[way],
    `${of.deliveries}/${of.wanted}`,
    of.perSecond.toFixed(1),
    of.p50.toFixed(0),
    of.p99.toFixed(0),
    way === "joined" ? "" : of.ours.toFixed(2),
    of.homeserver.toFixed(2),
  ]);
  return [head, ...rows]
    .map(([name = "", ...cells]) => `  ${name.padEnd(32)}${cells.map((cell) => cell.padStart(14)).join("")}`)
    .join("\n");
}
