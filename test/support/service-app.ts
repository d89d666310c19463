import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type Agent, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished } from "vitest";
import { App } from "../../src/app/app.ts";
import type { Clock, Random } from "../../src/model/clock.ts";
import type { ServerName } from "../../src/model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import type { LogFields, Logger } from "../../src/model/logger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Config } from "../../src/platform/config/config.ts";
import { asDescribed } from "./admin-answers.ts";
import { settle } from "./clock.ts";
import { AS_TOKEN, FakeHomeserver, HS_TOKEN, SERVER } from "./fake-homeserver.ts";

export const ADMIN_TOKEN = "admin-token-of-a-test";
export const PSEUDOUSER = `@:${SERVER}`;

/** How much faster than ours the service's time goes by: its back-offs are seconds, and a test has none to spare. */
const HASTE = 20;

export class HastyClock implements Clock {
  readonly #start = systemClock.now();

  now(): number {
    return this.#start + (systemClock.now() - this.#start) * HASTE;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms / HASTE, signal);
  }
}

/** The same tokens and fractions in every run. */
export function seededRandom(seed: string): Random {
  let drawn = 0;
  const draw = (): Buffer => {
    drawn += 1;
    return createHash("sha512").update(`${seed} ${drawn}`).digest();
  };
  return {
    fraction: () => draw().readUInt32BE() / 2 ** 32,
    token: (bytes) => draw().subarray(0, bytes).toString("base64url"),
  };
}

/** Everything that was logged, at every level. */
export class CollectedLog implements Logger {
  readonly entries: { readonly level: string; readonly event: string; readonly fields: LogFields }[] = [];

  error = this.#at("error");
  warn = this.#at("warn");
  info = this.#at("info");
  debug = this.#at("debug");

  events(level?: string): string[] {
    return this.entries.filter((entry) => level === undefined || entry.level === level).map(({ event }) => event);
  }

  /** All of it as text, errors with their messages. */
  get text(): string {
    return this.entries
      .map(({ event, fields }) =>
        JSON.stringify([
          event,
          fields,
          ...Object.values(fields).map((value) => (value instanceof Error ? value.stack : "")),
        ]),
      )
      .join("\n");
  }

  #at(level: string): (event: string, fields: LogFields) => void {
    return (event, fields) => this.entries.push({ level, event, fields });
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The answer's JSON object; an empty one where it is none. */
  readonly body: JsonObject;
  readonly raw: Buffer;
}

export interface Ask {
  readonly token?: string | null;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where connections are kept, for many requests. */
  readonly agent?: Agent;
}

/** One request, its path sent as it is given (fetch would resolve dots), over a connection of its own. */
export function ask(
  port: number,
  method: string,
  target: string,
  { token, body, headers, agent }: Ask = {},
): Promise<Answer> {
  const bytes =
    body === undefined ? null : Buffer.isBuffer(body) || typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: "127.0.0.1",
        port,
        method,
        path: target,
        agent: agent ?? false,
        headers: {
          ...(bytes === null
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(bytes)) }),
          ...(token === undefined || token === null ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (incoming) => {
        readAnswer(incoming).then(resolve, reject);
      },
    );
    outgoing.once("error", reject);
    outgoing.end(bytes ?? undefined);
  });
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: jsonOf(raw), raw };
}

function jsonOf(raw: Buffer): JsonObject {
  try {
    const value: unknown = JSON.parse(raw.toString("utf8"));
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Looks again and again until there is something; fails, saying what was awaited, after a time that is ample. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  within = 12_000,
): Promise<Exclude<T, null | undefined | false>> {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) {
      return found as Exclude<T, null | undefined | false>;
    }
    if (performance.now() > deadline) throw new Error(`this did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Something that a test ends when it wants to. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "emissary-service-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export type Settings = { readonly [Section in keyof Config]?: Partial<Config[Section]> };

const NO_RATE = { tenantRate: 1_000_000, tenantBurst: 10_000_000 };

/** The configuration of a service in a test: free ports, no limits that a test would run into. */
const PLENTY = { joins: 1_000_000, per: 1 };
/** A guard that lets pass whatever a test does, but for the number of rooms. */
const NO_GUARD: Config["policy"] = {
  maxRooms: 100,
  maxMembers: 1_000_000,
  maxJoinsUnderWay: 100_000,
  maxEventRate: 100_000,
  refuseVersions: [],
  joinsPerUser: PLENTY,
  joinsPerTenant: PLENTY,
  joinsPerServer: PLENTY,
  joinsInAll: PLENTY,
  denyRooms: [],
  allowRooms: [],
  denyServers: [],
  allowServers: [],
  denyUsers: [],
  allowUsers: [],
  denyTenants: [],
  allowTenants: [],
  lists: [],
  ownInvites: "keep",
};

export function configFor(homeserverUrl: string, sqlite: string, settings: Settings = {}): Config {
  const listen = { host: "127.0.0.1", port: 0 };
  return {
    homeserver: { url: homeserverUrl, serverName: SERVER as ServerName, ...settings.homeserver },
    pseudouser: { localpart: "", displayname: null, ...settings.pseudouser },
    appservice: { listen, url: "http://127.0.0.1:1", registration: "registration.yaml", ...settings.appservice },
    gateway: { listen, frontDoor: false, personaFallback: true, ...NO_RATE, ...settings.gateway },
    peek: { idle: 600_000, wait: 30_000, roomsPerUser: 20, servers: [], rooms: [], ...settings.peek },
    admin: { listen, token: ADMIN_TOKEN, ...settings.admin },
    storage: {
      sqlite,
      durability: "full",
      journalKeep: 604_800_000,
      journalMaxSize: 2 ** 30,
      auditKeep: 7_776_000_000,
      auditMaxSize: 2 ** 30,
      ...settings.storage,
    },
    attendance: {
      linger: 0,
      concurrency: 4,
      joinsPerSecond: 1_000,
      joinTimeout: 600_000,
      joinReason: null,
      functionalMember: true,
      ...settings.attendance,
    },
    policy: { ...NO_GUARD, ...settings.policy },
    aliases: { keep: false, sweep: 86_400_000, emptyRooms: "keep", emptyAfter: 2_592_000_000, ...settings.aliases },
    invites: {
      takePart: false,
      wait: 86_400_000,
      joinsPerServer: PLENTY,
      joinsPerInviter: PLENTY,
      ...settings.invites,
    },
    log: { level: "debug", format: "json", ...settings.log },
    registration: {
      id: "emissary",
      asToken: AS_TOKEN,
      hsToken: HS_TOKEN,
      senderLocalpart: "_emissary",
      claimsReader: true,
      url: "http://127.0.0.1:1",
      reservedAliases: ["#"],
      ...settings.registration,
    },
  };
}

export interface ServiceOptions {
  readonly homeserver?: FakeHomeserver;
  readonly settings?: Settings;
  readonly sqlite?: string;
  readonly clock?: Clock;
  /** False to look at what happens before. */
  readonly untilReady?: boolean;
}

/** A tenant as its own software sees Emissary. */
export class TenantClient {
  readonly id: string;
  readonly sender: string;
  readonly token: string;
  readonly #service: Service;
  readonly #user: string | null;
  #txn = 0;

  constructor(service: Service, id: string, sender: string, token: string, user: string | null = null) {
    this.#service = service;
    this.#user = user;
    this.id = id;
    this.sender = sender;
    this.token = token;
  }

  /** The same tenant, acting as one of its personas. */
  as(user: string): TenantClient {
    return new TenantClient(this.#service, this.id, this.sender, this.token, user);
  }

  /** The same tenant, asking another service. */
  at(service: Service): TenantClient {
    return new TenantClient(service, this.id, this.sender, this.token, this.#user);
  }

  /** @param target below `/_matrix/client/v3` */
  ask(method: string, target: string, body?: unknown): Promise<Answer> {
    const user =
      this.#user === null ? "" : `${target.includes("?") ? "&" : "?"}user_id=${encodeURIComponent(this.#user)}`;
    return this.#service.gateway(method, `/_matrix/client/v3${target}${user}`, {
      token: this.token,
      ...(body === undefined ? {} : { body }),
    });
  }

  join(room: string, query = ""): Promise<Answer> {
    return this.ask("POST", `/join/${encodeURIComponent(room)}${query}`, {});
  }

  leave(room: string): Promise<Answer> {
    return this.ask("POST", `/rooms/${encodeURIComponent(room)}/leave`, {});
  }

  send(room: string, content: JsonObject, { type = "m.room.message", txn = "" } = {}): Promise<Answer> {
    this.#txn += 1;
    const txnId = txn === "" ? `t${this.#txn}` : txn;
    return this.ask("PUT", `/rooms/${encodeURIComponent(room)}/send/${type}/${txnId}`, content);
  }

  async joinedRooms(): Promise<unknown> {
    return (await this.ask("GET", "/joined_rooms")).body["joined_rooms"];
  }
}

/** Counts who sleeps by another clock. */
class CountedClock implements Clock {
  readonly #clock: Clock;
  sleepers = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.sleepers += 1;
    await this.#clock.sleep(ms, signal).finally(() => (this.sleepers -= 1));
  }
}

/** Emissary in this process beside its fake homeserver, asked over HTTP only. */
export class Service {
  readonly app: App;
  readonly homeserver: FakeHomeserver;
  readonly log: CollectedLog;
  readonly clock: CountedClock;
  readonly config: Config;

  constructor(parts: {
    homeserver: FakeHomeserver;
    config: Config;
    log: CollectedLog;
    clock: CountedClock;
    random: Random;
  }) {
    this.homeserver = parts.homeserver;
    this.config = parts.config;
    this.log = parts.log;
    this.clock = parts.clock;
    this.app = new App(parts);
  }

  intake(method: string, target: string, asked: Ask = { token: HS_TOKEN }): Promise<Answer> {
    return ask(this.app.ports.appservice, method, target, asked);
  }

  /** A transaction sent by hand. */
  transaction(txnId: string, body: unknown, asked: Ask = { token: HS_TOKEN }): Promise<Answer> {
    return this.intake("PUT", `/_matrix/app/v1/transactions/${txnId}`, { ...asked, body });
  }

  gateway(method: string, target: string, asked: Ask = {}): Promise<Answer> {
    return ask(this.app.ports.gateway, method, target, asked);
  }

  /** @param target below `/_emissary/v1` */
  async admin(method: string, target: string, body?: unknown): Promise<Answer> {
    const answer = await ask(this.app.ports.admin, method, `/_emissary/v1${target}`, {
      token: ADMIN_TOKEN,
      ...(body === undefined ? {} : { body }),
    });
    return asDescribed(method, target, answer);
  }

  ready(): Promise<Answer> {
    return ask(this.app.ports.admin, "GET", "/ready");
  }

  /** @param users the namespace of its personas, a regular expression */
  async tenant(id: string, actions?: readonly string[], users: string | null = null): Promise<TenantClient> {
    return this.addTenant({ id, users, ...(actions === undefined ? {} : { actions: [...actions] }) });
  }

  /** @param wish what the admin API is asked for */
  async addTenant(wish: JsonObject & { readonly id: string }): Promise<TenantClient> {
    const { status, body } = await this.admin("POST", "/tenants", wish);
    const { tenant, registration } = body;
    if (status !== 200 || !isJsonObject(tenant) || !isJsonObject(registration)) {
      throw new Error(`no tenant was made: ${JSON.stringify(body)}`);
    }
    return new TenantClient(this, wish.id, stringAt(tenant, "sender") ?? "", stringAt(registration, "as_token") ?? "");
  }

  async room(roomId: string): Promise<JsonObject> {
    return (await this.admin("GET", `/rooms/${encodeURIComponent(roomId)}`)).body;
  }

  /** Waits until the room's attendance and load stand like this. */
  async untilRoom(roomId: string, wanted: JsonObject): Promise<JsonObject> {
    let room: JsonObject = {};
    try {
      return await eventually("a room's state", async () => {
        room = await this.room(roomId);
        return Object.entries(wanted).every(([key, value]) => room[key] === value) ? room : null;
      });
    } catch {
      throw new Error(`${roomId} did not become ${JSON.stringify(wanted)}; it is ${JSON.stringify(room)}`);
    }
  }

  /** Waits until the homeserver has nothing more to send. */
  async untilDelivered(): Promise<void> {
    await eventually("the homeserver's queue being empty", () => this.homeserver.sender.isIdle);
  }

  /** Looks into the database as another process would. */
  query<T>(sql: string, ...values: unknown[]): T[] {
    const db = new Database(this.config.storage.sqlite, { readonly: true });
    try {
      return db.prepare(sql).all(...values) as T[];
    } finally {
      db.close();
    }
  }

  /** Event IDs in the journal, in order. */
  journal(): string[] {
    return this.query<{ event_ids: string }>("SELECT event_ids FROM journal ORDER BY first_seq").flatMap(
      ({ event_ids }) => JSON.parse(event_ids) as string[],
    );
  }
}

/** Each start draws others: a name that one start has given itself is not given again by the next. */
let starts = 0;

export async function fakeHomeserver(): Promise<FakeHomeserver> {
  const homeserver = await FakeHomeserver.start();
  onTestFinished(() => homeserver.close());
  return homeserver;
}

/** A running service; it and its homeserver end with the test. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const homeserver = options.homeserver ?? (await fakeHomeserver());
  const sqlite = options.sqlite ?? path.join(temporaryFolder(), "emissary.db");
  const service = new Service({
    homeserver,
    config: configFor(homeserver.url, sqlite, options.settings),
    log: new CollectedLog(),
    clock: new CountedClock(options.clock ?? new HastyClock()),
    random: seededRandom(`${sqlite} ${(starts += 1)}`),
  });
  onTestFinished(async () => {
    await service.app.stop();
    await settle();
    // Who still sleeps keeps a daemon from ending, and whoever started it waiting.
    expect(service.clock.sleepers, "asleep after the stop").toBe(0);
  });
  // A start-up that is refused is awaited by the test, or by nobody.
  service.app.ready.catch(() => undefined);
  await service.app.start();
  homeserver.sender.url = `http://127.0.0.1:${service.app.ports.appservice}`;
  if (options.untilReady !== false) {
    const asked = homeserver.seen("GET", /joined_rooms$/).length;
    await service.app.ready;
    // The first comparison with the homeserver comes at once: it is let pass, so that a test sees its own requests only.
    await eventually("the first comparison", () => homeserver.seen("GET", /joined_rooms$/).length > asked);
  }
  return service;
}
