import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Agent, request } from "undici";
import { AS_TOKEN, FakeHomeserver, HS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { startEmissary, type Subject } from "./subject.ts";

export interface CostLoad {
  readonly users: number;
  readonly rooms: number;
  /** Messages a second, over all rooms. */
  readonly rate: number;
  readonly seconds: number;
}

const BOB = "@bob:elsewhere.test";
const V3 = "/_matrix/client/v3";
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
/** Messages before the clock runs: what V8 has not compiled yet costs many times as much. */
const WARM_UP_SECONDS = 10;
const PLAIN_REQUESTS = 3_000;

export interface Costs {
  /** Milliseconds of a processor for each second that nothing happens, with all who wait. */
  readonly idle: number;
  /** For each message of a room that is open, and that nobody follows. */
  readonly intake: number;
  /** For each delivery, with the message's own share, to legacy peekers and to MSC2753's; and without. */
  readonly events: Delivered;
  readonly sync: Delivered;
  /** For an answer that costs no more than fastify; and for one that asks the homeserver. */
  readonly empty: number;
  readonly passed: number;
}

interface Delivered {
  readonly all: number;
  readonly own: number;
  readonly homeserverRequests: number;
}

/** What the daemon works for each delivery to a user who follows a room, beside a made-up homeserver in this process. */
export async function measureCosts(load: CostLoad): Promise<Costs> {
  const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-"));
  const homeserver = await FakeHomeserver.start();
  const emissary = await startEmissary({
    name: "emissary",
    folder,
    homeserverUrl: homeserver.url,
    of: { server: SERVER, asToken: AS_TOKEN, hsToken: HS_TOKEN },
    config: "peek: { rooms_per_user: 1000 }\n",
  });
  homeserver.sender.url = `http://127.0.0.1:${emissary.port}`;
  const scene = new Scene(homeserver, emissary, load);
  try {
    return await scene.measure();
  } finally {
    await emissary.stop();
    await scene.close();
    await homeserver.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Scene {
  readonly #homeserver: FakeHomeserver;
  readonly #emissary: Subject;
  readonly #load: CostLoad;
  readonly #agent: Agent;
  #deliveries = 0;

  constructor(homeserver: FakeHomeserver, emissary: Subject, load: CostLoad) {
    this.#homeserver = homeserver;
    this.#emissary = emissary;
    this.#load = load;
    this.#agent = new Agent({ connections: load.users + 8, headersTimeout: 120_000 });
  }

  async measure(): Promise<Costs> {
    const { rate, seconds } = this.#load;
    const messages = rate * seconds;
    const unwatched = this.#rooms();
    await Promise.all(unwatched.map((room) => this.#look(this.#user("opener"), room)));
    await this.#speak(unwatched, WARM_UP_SECONDS);
    const intake = (await this.#costOf(() => this.#speak(unwatched, seconds))) / messages;
    const events = await this.#follow("events", intake);
    const sync = await this.#follow("sync", intake);
    const idle = (await this.#costOf(() => pause(5_000))) / 5;
    const empty = await this.#plain("OPTIONS", "/_matrix/client/v3/nothing");
    const passed = await this.#plain("GET", "/_matrix/client/versions");
    return { idle, intake, events, sync, empty, passed };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #follow(way: "events" | "sync", intake: number): Promise<Delivered> {
    const { users, rooms, rate, seconds } = this.#load;
    const squares = this.#rooms();
    const over = { is: false };
    const followers = await Promise.all(
      Array.from({ length: users }, async (_, n) => {
        const user = this.#user(`${way}-${n}`);
        const room = squares[n % rooms]!;
        const from = await (way === "events" ? this.#look(user, room) : this.#peek(user, room));
        return this.#poll(way, user, room, from, over);
      }),
    );
    await this.#speak(squares, WARM_UP_SECONDS);
    this.#deliveries = 0;
    const before = this.#homeserver.requests.length;
    const cpu = await this.#costOf(() => this.#speak(squares, seconds));
    const all = cpu / this.#deliveries;
    const asked = this.#homeserver.requests.length - before;
    over.is = true;
    for (const room of squares) this.#homeserver.say(room, BOB, "over");
    await Promise.all(followers.map(({ done }) => done));
    const share = intake * ((rate * seconds) / this.#deliveries);
    return { all, own: all - share, homeserverRequests: asked / this.#deliveries };
  }

  #poll(way: "events" | "sync", user: string, room: FakeRoom, from: string, over: { is: boolean }) {
    const follow = async (): Promise<void> => {
      for (let next = from; !over.is;) {
        const position = encodeURIComponent(next);
        const target =
          way === "events"
            ? `/events?room_id=${encodeURIComponent(room.id)}&timeout=30000&from=${position}`
            : `/sync?timeout=30000&since=${position}`;
        const { text, body } = await this.#ask("GET", user, `${V3}${target}`);
        this.#deliveries += text.split('"body":"sent').length - 1;
        next = String(body[way === "events" ? "end" : "next_batch"]);
      }
    };
    // In an object, since what is returned is not to be waited for.
    return { done: follow() };
  }

  /** Says messages in the rooms in turn, and returns when those who follow had the time to hear them. */
  async #speak(rooms: readonly FakeRoom[], seconds: number): Promise<void> {
    const { rate } = this.#load;
    const begun = performance.now();
    for (let n = 0; n < rate * seconds; n += 1) {
      await pause(begun + (n / rate) * 1_000 - performance.now());
      this.#homeserver.say(rooms[n % rooms.length]!, BOB, `sent ${n}`);
    }
    await pause(1_000);
  }

  async #costOf(deed: () => Promise<unknown>): Promise<number> {
    const before = this.#emissary.cpu();
    await deed();
    return this.#emissary.cpu() - before;
  }

  async #plain(method: "GET" | "OPTIONS", target: string): Promise<number> {
    const ask = async (times: number): Promise<void> => {
      for (let n = 0; n < times; n += 1) {
        const url = `http://127.0.0.1:${this.#emissary.gatewayPort}${target}`;
        const { body } = await request(url, { method, dispatcher: this.#agent });
        await body.dump();
      }
    };
    await ask(PLAIN_REQUESTS);
    return (await this.#costOf(() => ask(PLAIN_REQUESTS))) / PLAIN_REQUESTS;
  }

  #rooms(): FakeRoom[] {
    const make = (): FakeRoom => this.#homeserver.makeRoom({ historyVisibility: "world_readable", creator: BOB });
    return Array.from({ length: this.#load.rooms }, make);
  }

  #user(name: string): string {
    const token = `token-of-${name}`;
    this.#homeserver.tokens.set(token, `@${name}:${SERVER}`);
    this.#homeserver.devices.set(token, name.toUpperCase());
    return token;
  }

  /** Resolves with where to follow on from. */
  async #look(user: string, room: FakeRoom): Promise<string> {
    const target = `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync?limit=20&via=elsewhere.test`;
    const { body } = await this.#ask("GET", user, target);
    return String((body["messages"] as { end?: string }).end);
  }

  async #peek(user: string, room: FakeRoom): Promise<string> {
    await this.#ask("POST", user, `${UNSTABLE}/peek/${encodeURIComponent(room.id)}?via=elsewhere.test`);
    const { body } = await this.#ask("GET", user, `${V3}/sync?timeout=0`);
    return String(body["next_batch"]);
  }

  async #ask(method: "GET" | "POST", token: string, target: string) {
    const { statusCode, body } = await request(`http://127.0.0.1:${this.#emissary.gatewayPort}${target}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        authorization: `Bearer ${token}`,
        ...(method === "POST" ? { "content-type": "application/json" } : {}),
      },
      body: method === "POST" ? "{}" : null,
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${method} ${target}: ${statusCode} ${text}`);
    return { text, body: JSON.parse(text) as Record<string, unknown> };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

export function costTable({ users, rooms, rate }: CostLoad, costs: Costs): string {
  const { idle, intake, events, sync, empty, passed } = costs;
  const delivered = ({ all, own, homeserverRequests }: Delivered): string =>
    `${all.toFixed(2)}, of which the delivery ${own.toFixed(2)}; ${homeserverRequests.toFixed(2)} requests to the homeserver`;
  return [
    `${users} users follow ${rooms} rooms with ${rate} messages a second in all; the daemon's CPU in ms`,
    `  a second in which nothing comes      ${idle.toFixed(1)}`,
    `  a message in a room without followers ${intake.toFixed(2)}`,
    `  a delivery to a legacy peeker        ${delivered(events)}`,
    `  a delivery to MSC2753's              ${delivered(sync)}`,
    `  an empty answer of fastify           ${empty.toFixed(3)}`,
    `  a request that is passed on          ${passed.toFixed(3)}`,
  ].join("\n");
}
