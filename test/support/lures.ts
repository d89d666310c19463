import { execFile } from "node:child_process";
import { Agent } from "node:http";
import path from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished } from "vitest";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom, RoomOptions } from "./fake-homeserver-rooms.ts";
import { SERVER, type FakeHomeserver } from "./fake-homeserver.ts";
import { isBystanders, kindOf, print, sizeOf, type Cost } from "./lures-cost.ts";
import { ask, eventually, fakeHomeserver, PSEUDOUSER, temporaryFolder, type Answer } from "./service-app.ts";
import { Daemon } from "./service-daemon.ts";

const EMISSARY = path.join(import.meta.dirname, "../../bin/emissary");
/** What an attack may make the daemon hold in memory, bytes. */
const MOST_MEMORY = 300 * 1024 * 1024;
/** Reads of a neighbour before an attack, by which those during it are judged. */
const READS_BEFORE = 60;
const BETWEEN_READS_MS = 15;
const BETWEEN_OPENINGS_MS = 700;

export interface Attack<Result> {
  readonly cost: Cost;
  readonly result: Result;
}

export interface During {
  /** False where the attack also takes places in the queue of joins: then no more rooms are opened for bystanders. */
  readonly openings?: boolean;
  /** True where the daemon is killed meanwhile. */
  readonly isKilled?: boolean;
}

interface Figures {
  readonly joins: number;
  readonly leaves: number;
  readonly requests: ReadonlyMap<string, number>;
  readonly rows: Readonly<Record<string, number>>;
}

interface Reads {
  readonly times: number[];
  readonly answers: Map<number, number>;
}

/**
 * Emissary as an operator has it who configured nothing, as a process beside its homeserver, and bystanders: users who look into
 * ordinary rooms of servers that nobody attacks, before and during what a test does to it.
 */
export class Target {
  readonly homeserver: FakeHomeserver;
  readonly folder: string;
  daemon: Daemon;
  #ports: Ports;
  readonly #settings: string;
  readonly #square: FakeRoom;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  #bystanders = 0;

  private constructor(homeserver: FakeHomeserver, folder: string, settings: string, daemon: Daemon, ports: Ports) {
    this.homeserver = homeserver;
    this.folder = folder;
    this.daemon = daemon;
    this.#settings = settings;
    this.#ports = ports;
    this.#square = this.#ordinaryRoom();
    onTestFinished(() => this.#agent.destroy());
  }

  /**
   * @param settings more sections of emissary.yaml
   * @param prepare makes what is there before Emissary starts
   * @param gateway more keys of that section
   */
  static async open(
    settings = "",
    prepare: (homeserver: FakeHomeserver) => void = () => {},
    gateway?: string,
  ): Promise<Target> {
    const homeserver = await fakeHomeserver();
    prepare(homeserver);
    const folder = temporaryFolder();
    // Commands read where the daemon listens in its configuration.
    const [admin = 0] = await freePorts(1);
    const daemon = new Daemon(folder, homeserver, {
      config: settings,
      ports: { admin },
      ...(gateway === undefined ? {} : { gateway }),
    });
    const target = new Target(homeserver, folder, settings, daemon, await daemon.ready());
    await target.#read(target.#square.id);
    return target;
  }

  /** Ends the daemon as a power cut does, and starts it again. */
  async restart(): Promise<void> {
    this.daemon.process.kill("SIGKILL");
    await this.daemon.exit();
    const ports = { admin: this.#ports.admin };
    this.daemon = new Daemon(this.folder, this.homeserver, { config: this.#settings, ports });
    this.#ports = await this.daemon.ready();
  }

  get gatewayPort(): number {
    return this.#ports.gateway;
  }

  room(options: RoomOptions = {}): FakeRoom {
    return this.homeserver.makeRoom({ historyVisibility: "world_readable", ...options });
  }

  /** A token of a local user. */
  user(localpart: string): string {
    const token = `token-of-${localpart}`;
    this.homeserver.tokens.set(token, `@${localpart}:${SERVER}`);
    return token;
  }

  /** A local user looks into a room; null where no answer came. */
  peek(roomId: string, token: string, via = "evil.test"): Promise<Answer | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/initialSync?limit=5&via=${via}`;
    return ask(this.#ports.gateway, "GET", path, { token, agent: this.#agent }).catch(() => null);
  }

  /** @param target below `/_matrix/client/v3` */
  act(token: string, method: string, target: string, body?: JsonObject): Promise<Answer> {
    return ask(this.#ports.gateway, method, `/_matrix/client/v3${target}`, {
      token,
      ...(body === undefined ? {} : { body }),
    });
  }

  join(token: string, roomId: string): Promise<Answer> {
    return this.act(token, "POST", `/join/${encodeURIComponent(roomId)}?via=evil.test`, {});
  }

  say(token: string, roomId: string, txn: string): Promise<Answer> {
    const body = { msgtype: "m.text", body: `said ${txn}` };
    return this.act(token, "PUT", `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${txn}`, body);
  }

  admin(method: string, target: string, body?: JsonObject): Promise<Answer> {
    return this.daemon.admin(method, target, body);
  }

  /** What a command of the CLI prints. */
  command(...args: readonly string[]): Promise<string> {
    const config = path.join(this.folder, "emissary.yaml");
    return new Promise((resolve, reject) => {
      execFile(EMISSARY, [...args, "--config", config], { encoding: "utf8" }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`emissary ${args.join(" ")}: ${stderr}`));
      });
    });
  }

  isIn(room: FakeRoom): boolean {
    return room.membership(PSEUDOUSER) === "join";
  }

  /** Waits until everything that happened was taken. */
  async untilDelivered(within = 60_000): Promise<void> {
    await eventually("the homeserver's queue being empty", () => this.homeserver.sender.isIdle, within);
  }

  query<Row>(sql: string, ...values: unknown[]): Row[] {
    const db = new Database(this.daemon.sqlite, { readonly: true });
    try {
      return db.prepare(sql).all(...values) as Row[];
    } finally {
      db.close();
    }
  }

  /**
   * Makes an attack while bystanders look into rooms, and prints what it cost. Whatever it is, no bystander is to be refused, and
   * memory is bounded.
   */
  async during<Result>(
    what: string,
    attack: () => Promise<Result>,
    { openings = true, isKilled = false }: During = {},
  ): Promise<Attack<Result>> {
    const usual: Reads = { times: [], answers: new Map() };
    for (let read = 0; read < READS_BEFORE; read += 1) await this.#readTimed(usual);
    const before = this.#figures();
    const reads: Reads = { times: [], answers: new Map() };
    const opened: Reads = { times: [], answers: new Map() };
    const over = new AbortController();
    const bystanders = [
      this.#again(over.signal, BETWEEN_READS_MS, () => this.#readTimed(reads)),
      ...(openings ? [this.#again(over.signal, BETWEEN_OPENINGS_MS, () => this.#openTimed(opened))] : []),
    ];
    let result: Result;
    try {
      result = await attack();
    } finally {
      over.abort();
      await Promise.all(bystanders);
    }
    const cost = this.#costSince(before);
    print(what, cost, { usual: usual.times, reads: reads.times, opened: opened.times });
    const refused = ({ answers }: Reads): number[] =>
      [...answers.keys()].filter((status) => status !== 200 && !(isKilled && status === 0));
    expect(refused(reads), "what bystanders were answered").toEqual([]);
    expect(refused(opened), "what bystanders were answered who opened a room").toEqual([]);
    expect(cost.memory, "memory").toBeLessThan(MOST_MEMORY);
    return { cost, result };
  }

  async #again(over: AbortSignal, pause: number, work: () => Promise<void>): Promise<void> {
    do {
      await work();
      await new Promise((resolve) => setTimeout(resolve, pause));
    } while (!over.aborted);
  }

  async #readTimed(reads: Reads): Promise<void> {
    await this.#timed(reads, this.#square.id);
  }

  async #openTimed(reads: Reads): Promise<void> {
    await this.#timed(reads, this.#ordinaryRoom().id);
  }

  async #timed({ times, answers }: Reads, roomId: string): Promise<void> {
    const begun = performance.now();
    const status = await this.#read(roomId);
    times.push(performance.now() - begun);
    answers.set(status, (answers.get(status) ?? 0) + 1);
  }

  /** Each by another user: what one may do is not what is tried here. */
  async #read(roomId: string): Promise<number> {
    this.#bystanders += 1;
    const token = this.user(`bystander-${this.#bystanders % 20}`);
    return (await this.peek(roomId, token, "ordinary.test"))?.status ?? 0;
  }

  #ordinaryRoom(): FakeRoom {
    this.#bystanders += 1;
    const server = `ordinary-${this.#bystanders}.test`;
    return this.room({ id: `!square:${server}`, creator: `@somebody:${server}` });
  }

  #figures(): Figures {
    const requests = new Map<string, number>();
    for (const request of this.homeserver.requests) {
      if (isBystanders(request)) continue;
      const kind = `${request.method} ${kindOf(request)}`;
      requests.set(kind, (requests.get(kind) ?? 0) + 1);
    }
    const tables = this.query<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
    const rows = tables
      .filter(({ name }) => !name.startsWith("sqlite_"))
      .map(({ name }) => [name, this.query<{ n: number }>(`SELECT count(*) AS n FROM "${name}"`)[0]?.n ?? 0] as const);
    const count = (pattern: RegExp): number =>
      [...requests].filter(([kind]) => pattern.test(kind)).reduce((sum, [, times]) => sum + times, 0);
    return {
      joins: count(/^POST .*join/),
      leaves: count(/^POST .*leave/),
      requests,
      rows: Object.fromEntries(rows),
    };
  }

  #costSince(before: Figures): Cost {
    const after = this.#figures();
    const requests = new Map(
      [...after.requests]
        .map(([kind, times]) => [kind, times - (before.requests.get(kind) ?? 0)] as const)
        .filter(([, times]) => times > 0),
    );
    const rows = Object.entries(after.rows).map(([table, rows]) => [table, rows - (before.rows[table] ?? 0)] as const);
    return {
      joins: after.joins - before.joins,
      leaves: after.leaves - before.leaves,
      requests,
      asked: [...requests.values()].reduce((sum, times) => sum + times, 0),
      memory: this.daemon.peakMemory,
      disk: sizeOf(this.daemon.sqlite) + sizeOf(`${this.daemon.sqlite}-wal`),
      journal: this.query<{ bytes: number | null }>("SELECT sum(length(body)) AS bytes FROM journal")[0]?.bytes ?? 0,
      rows: Object.fromEntries(rows.filter(([, rows]) => rows !== 0)),
    };
  }
}

type Ports = Awaited<ReturnType<Daemon["ready"]>>;

/** Does something for each, so many at once. */
export async function each<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, nr) => nr);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A room that nobody else knows of: it exists while the homeserver does. */
export function inviteOf(homeserver: FakeHomeserver, user: string, inviter: string, room?: FakeRoom): FakeRoom {
  const server = inviter.slice(inviter.indexOf(":") + 1);
  const into = room ?? homeserver.makeRoom({ creator: inviter, id: `!lure${homeserver.rooms.size}:${server}` });
  const event = into.append("m.room.member", inviter, { membership: "invite" }, user);
  // Sent to whoever watches the user's invites, and to the pseudouser.
  homeserver.sender.push(event);
  return into;
}
