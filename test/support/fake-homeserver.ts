import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { isJsonObject, shallow, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { FakeMedia } from "./fake-homeserver-media.ts";
import { mayDo } from "./fake-homeserver-power.ts";
import { FakeRoom, type FakeEvent, type RoomOptions } from "./fake-homeserver-rooms.ts";
import {
  contextTokens,
  eventsAfter,
  isBeforeServer,
  messagesOf,
  newestMessages,
  syncOf,
  type ToDevice,
} from "./fake-homeserver-sync.ts";
import { TransactionSender } from "./fake-homeserver-sender.ts";

export const AS_TOKEN = "as-token-of-emissary-in-a-test";
export const HS_TOKEN = "hs-token-of-emissary-in-a-test";
export const SERVER = "hs.test";

/** A request as it came in. */
export interface SeenRequest {
  readonly method: string;
  /** As it stood in the request line. */
  readonly url: string;
  /** As a homeserver behind a proxy reads it: dots resolved. Segments are still encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly at: number;
  body: JsonObject;
  /** The request's body as it came, up to a MiB. */
  text: string;
  /** Bytes of the request's body, and their hash, for uploads. */
  size: number;
  digest: string;
  /** True once the asker went away before the answer was complete. */
  aborted: boolean;
}

/** How an answer goes wrong. */
export type Fault =
  | { readonly status: number; readonly body: JsonObject; readonly headers?: Readonly<Record<string, string>> }
  /** A body that is sent as it is, as JSON by its type. */
  | { readonly text: string; readonly status?: number }
  | "hang"
  /** The connection ends without an answer. */
  | "close"
  /** The true answer, so many bytes of it, then the connection ends; or, with an announced end, the answer is just short. */
  | { readonly cutAfter: number; readonly politely?: boolean }
  /** The true answer, once this resolved. */
  | { readonly waitFor: Promise<unknown> }
  /** The true answer, so many bytes at a time, with a pause between. */
  | { readonly trickle: number; readonly pause: number };

interface Rule {
  readonly method: string;
  readonly path: RegExp;
  readonly fault: Fault;
  left: number;
}

type Reply = readonly [status: number, body: JsonValue];

interface Call {
  readonly method: string;
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly body: JsonObject;
  /** Whom the token and `user_id` make the asker. */
  readonly user: string;
  readonly token: string;
}

const NOT_FOUND: Reply = [404, { errcode: "M_NOT_FOUND", error: "Not found." }];
const NOT_THERE: Reply = [403, { errcode: "M_FORBIDDEN", error: "User not in room" }];

const UNKNOWN_TOKEN = { errcode: "M_UNKNOWN_TOKEN", error: "Unrecognised access token" };
const SOFT_LOGOUT = { errcode: "M_UNKNOWN_TOKEN", error: "Access token has expired", soft_logout: true };

function tokenOf({ headers, query }: Pick<SeenRequest, "headers" | "query">): string | null {
  return /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? query.get("access_token");
}

/**
 * A homeserver that behaves: it has rooms with state and members, knows its appservice by its token, lets the pseudouser in and
 * out by the rules of the room, and sends it transactions. It also behaves badly, where a test tells it to.
 */
export class FakeHomeserver {
  readonly sender = new TransactionSender(HS_TOKEN);
  readonly requests: SeenRequest[] = [];
  readonly rooms = new Map<string, FakeRoom>();
  /** Display names by user. */
  readonly profiles = new Map<string, string>();
  readonly registered = new Set<string>();
  /** Users of the registration's namespaces: what concerns them is sent, registered or not. */
  readonly namespaces: RegExp[] = [];
  /** Tokens of ordinary users. */
  readonly tokens = new Map([["token-of-alice", `@alice:${SERVER}`]]);
  /** Those of them that are guests'. */
  readonly guests = new Set<string>();
  /** Tokens whose time is over, and whose users log in again and keep what they have. */
  readonly expired = new Set<string>();
  /** Device IDs by token, where the token is of a device. */
  readonly devices = new Map([["token-of-alice", "ALICE"]]);
  /** Messages to devices, by token. */
  readonly toDevice = new Map<string, ToDevice[]>();
  /** False until the homeserver has loaded the registration: it then does not know the token. */
  registrationLoaded = true;
  /** Localparts that it does not register, with the reason. */
  readonly refusedLocalparts = new Map<string, string>();
  /** If set, whoami answers this for whoever asks. */
  whoami: string | null = null;
  /** Users who may ask its admin API. */
  readonly admins = new Set<string>();
  /** Whether the registration has the server's aliases: the appservice is then told of all rooms that one points to. */
  tellsOfAliases = false;
  /** Whether the rooms' power levels are heeded. */
  heedsPower = false;
  readonly media = new FakeMedia(SERVER);
  /** Rooms that were put into the directory of public ones, or taken out of it. */
  readonly listed = new Map<string, boolean>();
  /** Hosts that it was made to call: the identity servers of invites by address. */
  readonly called: string[] = [];
  /** Servers that take connections and say nothing: a room is asked for through them before any that is named later. */
  readonly silent = new Set<string>();
  /** Bytes that were handed to the network for the newest large answer. */
  streamed = 0;

  readonly #server: Server;
  /** Room IDs by alias. */
  readonly aliases = new Map<string, string>();
  /** By user, room if any, and type. */
  readonly accountData = new Map<string, JsonObject>();
  /** Whether it gives appservices' users devices (MSC4190). */
  givesDevices = true;
  /** Devices that appservices' users made. */
  readonly ownDevices = new Set<string>();
  /** What was sent, by transaction ID: of requests without a device, in the memory of a process; of devices, in its database. */
  readonly #sent = { process: new Map<string, string>(), devices: new Map<string, string>() };
  #rules: Rule[] = [];
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  static async start(port = 0): Promise<FakeHomeserver> {
    const homeserver = new FakeHomeserver();
    await homeserver.listen(port);
    return homeserver;
  }

  async listen(port = this.#port): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening; rooms and users stay. */
  async shut(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async close(): Promise<void> {
    this.sender.close();
    await this.shut();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pseudousers(): readonly string[] {
    return [...this.registered];
  }

  // What a test tells it.

  /** The next `times` answers to such requests go wrong. @returns a function that ends it. */
  fault(method: string, path: RegExp, fault: Fault, times = 1): () => void {
    const rule: Rule = { method, path, fault, left: times };
    this.#rules.push(rule);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== rule);
    };
  }

  makeRoom(options: RoomOptions = {}): FakeRoom {
    const room = new FakeRoom(options);
    this.rooms.set(room.id, room);
    if (options.alias !== undefined) this.aliases.set(options.alias, room.id);
    return room;
  }

  /** Somebody, here or elsewhere, sends an event. It reaches the appservice if that has a user in the room. */
  send(room: FakeRoom, sender: string, type: string, content: JsonObject, stateKey?: string): FakeEvent {
    const wasIn = this.#isInterested(room, stateKey);
    const event = room.append(type, sender, content, stateKey);
    if (wasIn || this.#isInterested(room, stateKey)) this.sender.push(event);
    return event;
  }

  say(room: FakeRoom, sender: string, body: string): FakeEvent {
    return this.send(room, sender, "m.room.message", { msgtype: "m.text", body });
  }

  setMembership(room: FakeRoom, user: string, membership: string, sender = user): FakeEvent {
    return this.send(room, sender, "m.room.member", { membership }, user);
  }

  /** A restart, or a balancer that asks another process: what was sent without a device is not known any more. */
  forgetTransactions(): void {
    this.#sent.process.clear();
  }

  ignore(user: string, ...others: readonly string[]): void {
    const ignored = Object.fromEntries(others.map((other) => [other, {}]));
    this.accountData.set(`${user} account_data m.ignored_user_list`, { ignored_users: ignored });
  }

  // What a test asks it.

  ignoredBy(user: string): ReadonlySet<string> {
    const list = this.accountData.get(`${user} account_data m.ignored_user_list`)?.["ignored_users"];
    return new Set(isJsonObject(list) ? Object.keys(list) : []);
  }

  /** Requests so far of this method whose path fits. */
  seen(method: string, path: RegExp): readonly SeenRequest[] {
    return this.requests.filter((request) => request.method === method && path.test(request.path));
  }

  #isInterested(room: FakeRoom, stateKey: string | undefined): boolean {
    if (this.tellsOfAliases && this.#aliasesOf(room).length > 0) return true;
    if ([...this.registered].some((user) => user === stateKey || room.membership(user) === "join")) return true;
    const isOurs = (user: string): boolean => this.namespaces.some((namespace) => namespace.test(user));
    if (stateKey !== undefined && isOurs(stateKey)) return true;
    return this.namespaces.length > 0 && room.users("join").some(isOurs);
  }

  #aliasesOf(room: FakeRoom): string[] {
    return [...this.aliases].filter(([, roomId]) => roomId === room.id).map(([alias]) => alias);
  }

  /** As Synapse, which asks one server after the other, and each for minutes (`_try_destination_list`). */
  #waitsForSilent({ path, query }: SeenRequest): boolean {
    if (!/\/(?:room_summary|join)\/[^/]+$/.test(path)) return false;
    const room = this.rooms.get(decodeURIComponent(path.split("/").at(-1) ?? ""));
    if (room?.users("join").some((user) => user.endsWith(`:${SERVER}`)) === true) return false;
    return this.silent.has(query.get("via") ?? "");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    const seen: SeenRequest = {
      method: request.method ?? "",
      url: request.url ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      at: performance.now(),
      body: {},
      text: "",
      size: 0,
      digest: "",
      aborted: false,
    };
    this.requests.push(seen);
    response.once("close", () => {
      seen.aborted = !response.writableFinished;
    });
    const rule = this.#rules.find(
      ({ method, path, left }) => left > 0 && method === seen.method && path.test(seen.path),
    );
    if (rule !== undefined) rule.left -= 1;
    const fault = rule?.fault ?? null;
    if (fault === "close") {
      request.destroy();
      return;
    }
    await readBody(request, seen);
    if (fault === "hang" || this.#waitsForSilent(seen)) return;
    if (isJsonFault(fault)) {
      response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
      response.end(JSON.stringify(fault.body));
      return;
    }
    if (isTextFault(fault)) {
      response.writeHead(fault.status ?? 200, { "content-type": "application/json" });
      response.end(fault.text);
      return;
    }
    if (fault !== null && "waitFor" in fault) {
      // The answer is made now and sent late, as by a slow network.
      const [status, body] = this.#answer(seen);
      const text = JSON.stringify(body);
      await fault.waitFor;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(text);
      return;
    }
    if (fault === null && (await this.#stream(seen, response))) return;
    if (fault === null && (await this.#sync(seen, response))) return;
    if (fault === null) await this.#poll(seen, response);
    const [status, body] = this.#answer(seen);
    const bytes = Buffer.from(JSON.stringify(body));
    const headers = { "content-type": "application/json", "x-fake": "kept" };
    if (fault === null) {
      response.writeHead(status, { ...headers, "content-length": bytes.length });
      response.end(bytes);
    } else if ("cutAfter" in fault) {
      response.writeHead(status, headers);
      response.write(bytes.subarray(0, fault.cutAfter));
      if (fault.politely === true) response.end();
      else setTimeout(() => response.destroy(), 20);
    } else {
      response.writeHead(status, headers);
      for (let at = 0; at < bytes.length && !response.destroyed; at += fault.trickle) {
        response.write(bytes.subarray(at, at + fault.trickle));
        await new Promise((resolve) => setTimeout(resolve, fault.pause));
      }
      response.end();
    }
  }

  /** Answers that are written piece by piece: a large state, and `/messages` with a limit of millions, which is then its bytes. */
  async #stream(seen: SeenRequest, response: ServerResponse): Promise<boolean> {
    const [, , , , , roomId, what] = seen.path.split("/").map((part) => decodeURIComponent(part));
    const room = this.rooms.get(roomId ?? "");
    const limit = Number(seen.query.get("limit"));
    const huge = limit >= 1_000_000 ? limit : 0;
    if (room === undefined || this.#userOf(seen) === null) return false;
    if (what === "messages" && huge > 0) {
      response.writeHead(200, { "content-type": "application/json" });
      this.streamed = 0;
      const piece = Buffer.alloc(64 * 1024, "m");
      for (let left = huge; left > 0 && !response.destroyed; left -= piece.length) {
        const open = response.write(left < piece.length ? piece.subarray(0, left) : piece);
        this.streamed += Math.min(left, piece.length);
        if (!open) await drained(response);
      }
      response.end();
      return true;
    }
    if (what !== "state" || seen.method !== "GET" || room.state.length < 1_000 || seen.path.split("/").length > 7) {
      return false;
    }
    response.writeHead(200, { "content-type": "application/json" });
    this.streamed = 0;
    let first = true;
    for (const event of room.state) {
      const text = `${first ? "[" : ","}${JSON.stringify(event)}`;
      const open = response.write(text);
      this.streamed += text.length;
      first = false;
      if (!open) await drained(response);
      if (response.destroyed) return true;
    }
    response.end("]");
    return true;
  }

  /** An ordinary user's `/sync`, which waits for something to tell. */
  async #sync(seen: SeenRequest, response: ServerResponse): Promise<boolean> {
    const { path, query } = seen;
    const asker = this.#userOf(seen);
    if (!path.endsWith("/sync") || asker === null || asker.token === AS_TOKEN) return false;
    const since = query.get("since");
    const told = Number(/_(\d+)$/.exec(since ?? "")?.[1] ?? 0);
    const until = performance.now() + Number(query.get("timeout") ?? 0);
    for (;;) {
      const pending = (this.toDevice.get(asker.token) ?? []).filter(({ nr }) => nr > told);
      this.toDevice.set(asker.token, pending);
      const { body, isNews } = syncOf(this.rooms.values(), asker.user, since, pending);
      if (isNews || performance.now() >= until) {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(body));
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (response.destroyed) return true;
    }
  }

  /** A poll of a room waits for something that its user is shown. */
  async #poll({ path, query, headers }: SeenRequest, response: ServerResponse): Promise<void> {
    const room = this.rooms.get(query.get("room_id") ?? "");
    const asker = this.#userOf({ headers, query });
    if (!path.endsWith("/events") || room === undefined || asker === null || !query.has("from")) return;
    const until = performance.now() + Number(query.get("timeout") ?? 0);
    const viewer = { user: asker.user, ignores: this.ignoredBy(asker.user) };
    for (let seen = 0; performance.now() < until && !response.destroyed;) {
      const { length } = room.timeline;
      const page = length === seen ? [] : eventsAfter(this.rooms.values(), room, query, viewer)["chunk"];
      if (Array.isArray(page) && page.length > 0) return;
      seen = length;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #userOf({
    headers,
    query,
  }: Pick<SeenRequest, "headers" | "query">): { readonly user: string; readonly token: string } | null {
    const token = tokenOf({ headers, query });
    if (token === null) return null;
    const ordinary = this.tokens.get(token);
    if (ordinary !== undefined) return { user: ordinary, token };
    if (token !== AS_TOKEN || !this.registrationLoaded) return null;
    return { user: query.get("user_id") ?? `@_emissary:${SERVER}`, token };
  }

  #answer(seen: SeenRequest): Reply {
    const segments = seen.path
      .split("/")
      .slice(1)
      .map((part) => decodeURIComponent(part));
    const [matrix, api, version, ...rest] = segments;
    const hasToken = seen.headers.authorization !== undefined || seen.query.has("access_token");
    const asker = this.#userOf(seen);
    if (matrix === "_synapse" && seen.path === "/_synapse/admin/v1/rooms") {
      if (asker === null || !this.admins.has(asker.user)) return NOT_THERE;
      const page = pageOf([...this.rooms.values()], seen.query, "from");
      return [200, { rooms: page.rooms, ...page.next }];
    }
    if (matrix !== "_matrix") return NOT_FOUND;
    if (hasToken && asker === null) {
      return [401, this.expired.has(tokenOf(seen) ?? "") ? SOFT_LOGOUT : UNKNOWN_TOKEN];
    }
    if (api === "client" && version === "versions") return [200, { versions: ["v1.1", "v1.17"] }];
    if (asker === null) return [401, { errcode: "M_MISSING_TOKEN", error: "Missing access token" }];
    if (api === "media") return this.media.answer([version ?? "", ...rest], asker.user, seen);
    if (rest[0] === "register" && seen.method === "POST") return this.#register(seen.body);
    const isVirtual = asker.token === AS_TOKEN && seen.query.has("user_id");
    if (isVirtual && !this.registered.has(asker.user)) {
      return [403, { errcode: "M_FORBIDDEN", error: "Application service has not registered this user" }];
    }
    const device = asker.token === AS_TOKEN ? seen.query.get("device_id") : null;
    if (device !== null && !this.ownDevices.has(device)) {
      return [
        400,
        { errcode: "M_UNKNOWN_DEVICE", error: "Application service trying to use a device that doesn't exist" },
      ];
    }
    return this.#client({ method: seen.method, segments: rest, query: seen.query, body: seen.body, ...asker });
  }

  #register(body: JsonObject): Reply {
    const localpart = typeof body["username"] === "string" ? body["username"] : "";
    const refused = this.refusedLocalparts.get(localpart);
    if (refused !== undefined) return [400, { errcode: "M_INVALID_USERNAME", error: refused }];
    const user = `@${localpart}:${SERVER}`;
    if (this.registered.has(user)) return [400, { errcode: "M_USER_IN_USE", error: "User ID already taken." }];
    this.registered.add(user);
    return [200, { user_id: user }];
  }

  #client(call: Call): Reply {
    const { method, segments, query, user } = call;
    const [what, first, second] = segments;
    switch (`${method} ${what ?? ""}`) {
      case "GET account":
        return [
          200,
          {
            user_id: this.whoami ?? user,
            device_id: this.devices.get(call.token) ?? null,
            ...(this.guests.has(call.token) ? { is_guest: true } : {}),
          },
        ];
      case "PUT devices":
        if (!this.givesDevices) return NOT_FOUND;
        this.ownDevices.add(first ?? "");
        return [201, {}];
      case "GET profile": {
        const name = this.profiles.get(first ?? "");
        return name === undefined ? NOT_FOUND : [200, { displayname: name }];
      }
      case "PUT profile":
        this.profiles.set(first ?? "", stringAt(call.body, "displayname") ?? "");
        return [200, {}];
      case "GET directory": {
        if (first === "list") return [200, { visibility: this.#isListed(segments[3] ?? "") ? "public" : "private" }];
        const roomId = this.aliases.get(second ?? "");
        const servers = this.rooms.get(roomId ?? "")?.options.servers ?? ["elsewhere.test"];
        return roomId === undefined ? NOT_FOUND : [200, { room_id: roomId, servers: [...servers] }];
      }
      case "PUT directory":
        if (first === "list") {
          // `room/{roomId}`, and `appservice/{networkId}/{roomId}`.
          this.listed.set(segments.at(-1) ?? "", stringAt(call.body, "visibility") !== "private");
          return [200, {}];
        }
        if (this.aliases.has(second ?? "")) return [409, { errcode: "M_UNKNOWN", error: "Room alias already exists" }];
        this.aliases.set(second ?? "", stringAt(call.body, "room_id") ?? "");
        return [200, {}];
      case "DELETE directory":
        return this.aliases.delete(second ?? "") ? [200, {}] : NOT_FOUND;
      case "POST createRoom":
        return this.#createRoom(call);
      case "GET capabilities":
        return [200, { capabilities: { "m.room_versions": { default: "11", available: { "11": "stable" } } } }];
      case "GET publicRooms":
      case "POST publicRooms": {
        const other = query.get("server");
        const listed = [...this.rooms.values()].filter(
          ({ id, options }) => this.#isListed(id) && (other === null || options.routes?.includes(other) === true),
        );
        const page = pageOf(listed, query, "since");
        return [200, { chunk: page.rooms, ...page.next, query: query.toString(), filter: call.body }];
      }
      case "GET media":
        return [200, { path: segments.join("/"), query: query.toString() }];
      case "GET user":
      case "PUT user": {
        // A user's own only, as in Synapse.
        if (first !== user) return [403, { errcode: "M_FORBIDDEN", error: "Cannot use account data of other users" }];
        const key = segments.slice(1).join(" ");
        if (method === "PUT") this.accountData.set(key, call.body);
        const kept = this.accountData.get(key);
        return method === "PUT" ? [200, {}] : kept === undefined ? NOT_FOUND : [200, kept];
      }
      case "GET room_summary":
        return this.#summary(first ?? "", query, user);
      case "POST join": {
        const roomId = this.aliases.get(first ?? "") ?? first ?? "";
        if (this.rooms.has(roomId) && query.getAll("via").length + query.getAll("server_name").length === 0) {
          if (roomId.endsWith(":needs-via")) return [404, { errcode: "M_UNKNOWN", error: "No known servers" }];
        }
        if (this.rooms.get(roomId)?.isReached(query, SERVER) === false) {
          return [
            404,
            { errcode: "M_UNKNOWN", error: "Can't join remote room because no servers have been provided." },
          ];
        }
        return this.#join(roomId, user);
      }
      case "GET joined_rooms": {
        const rooms = [...this.rooms.values()].filter((room) => room.membership(user) === "join");
        return [200, { joined_rooms: rooms.map(({ id }) => id) }];
      }
      case "GET presence":
        return [200, { presence: "online" }];
      case "GET sync":
        return [200, { next_batch: "1", user }];
      case "GET events": {
        const room = this.rooms.get(query.get("room_id") ?? "");
        const mayRead = room !== undefined && (room.membership(user) === "join" || this.#isPeekable(room));
        if (query.has("room_id") && !mayRead) return NOT_THERE;
        if (room === undefined) return [200, { start: "s1", end: "s1", chunk: [] }];
        return [200, eventsAfter(this.rooms.values(), room, query, { user, ignores: this.ignoredBy(user) })];
      }
    }
    const room = this.rooms.get(first ?? "");
    if (what !== "rooms" || room === undefined) return NOT_FOUND;
    return this.#room(call, room);
  }

  /** Like Synapse in what the tests are about: whoever makes a room must have a level where levels are given. */
  #createRoom({ body, user }: Call): Reply {
    const levels = body["power_level_content_override"] ?? null;
    const users = isJsonObject(levels) ? (levels["users"] ?? null) : null;
    const version = stringAt(body, "room_version") ?? "11";
    if (isJsonObject(users) && user in users === (version === "12")) {
      return [400, { errcode: "M_BAD_JSON", error: `'users' is wrong about ${user}` }];
    }
    const name = stringAt(body, "room_alias_name");
    if (name !== null && this.aliases.has(`#${name}:${SERVER}`)) {
      return [400, { errcode: "M_ROOM_IN_USE", error: "Room alias already taken" }];
    }
    const creation = body["creation_content"] ?? null;
    const room = this.#makeFor(user, {
      version,
      joinRule: stringAt(body, "preset") === "public_chat" ? "public" : "invite",
      ...(name === null ? {} : { alias: `#${name}:${SERVER}` }),
      ...(isJsonObject(creation) ? { creation } : {}),
    });
    const usual = { users: version === "12" ? {} : { [user]: 100 } };
    if (isJsonObject(levels)) this.send(room, user, "m.room.power_levels", { ...usual, ...levels }, "");
    for (const state of Array.isArray(body["initial_state"]) ? body["initial_state"] : []) {
      if (!isJsonObject(state) || !isJsonObject(state["content"] ?? null)) continue;
      this.send(
        room,
        user,
        stringAt(state, "type") ?? "",
        state["content"] as JsonObject,
        stringAt(state, "state_key") ?? "",
      );
    }
    for (const [type, key] of [
      ["m.room.name", "name"],
      ["m.room.topic", "topic"],
    ] as const) {
      const text = stringAt(body, key);
      if (text !== null) this.send(room, user, type, { [key]: text }, "");
    }
    for (const invited of Array.isArray(body["invite"]) ? body["invite"] : []) {
      if (typeof invited === "string") this.setMembership(room, invited, "invite", user);
    }
    for (const invited of Array.isArray(body["invite_3pid"]) ? body["invite_3pid"] : []) {
      if (isJsonObject(invited)) this.called.push(stringAt(invited, "id_server") ?? "");
    }
    if (stringAt(body, "visibility") === "public") this.listed.set(room.id, true);
    return [200, { room_id: room.id }];
  }

  #makeFor(creator: string, options: RoomOptions): FakeRoom {
    // From version 12 on a room's ID has no server (MSC4291).
    const id = `!made${this.rooms.size}${options.version === "12" ? "" : `:${SERVER}`}`;
    const room = this.makeRoom({ id, creator, ...options });
    for (const event of room.timeline) this.sender.push(event);
    return room;
  }

  #summary(roomId: string, query: URLSearchParams, user: string): Reply {
    const room = this.rooms.get(roomId);
    const isHere = room?.users("join").some((user) => user.endsWith(`:${SERVER}`)) === true;
    const needsVia = room?.options.summary === false || room?.options.routes !== undefined;
    if (needsVia && !query.has("via") && !isHere) {
      return [400, { errcode: "M_UNKNOWN", error: "Missing via to query remote room" }];
    }
    if (room?.isReached(query, SERVER) !== true || room.options.summary === false) return NOT_FOUND;
    if (room.options.summary === "members" && room.membership(user) !== "join") return NOT_FOUND;
    return [
      200,
      {
        room_id: room.id,
        ...room.shown,
        join_rule: room.joinRule,
        world_readable:
          room.stateEvent("m.room.history_visibility")?.content["history_visibility"] === "world_readable",
        num_joined_members: room.options.summaryMembers ?? room.users("join").length,
        room_version: room.version,
      },
    ];
  }

  #join(roomId: string, user: string, content: JsonObject = { membership: "join" }): Reply {
    const room = this.rooms.get(roomId);
    if (room === undefined) return [404, { errcode: "M_NOT_FOUND", error: "Can't join remote room" }];
    const membership = room.membership(user);
    if (membership === "ban") return [403, { errcode: "M_FORBIDDEN", error: "You are banned from this room" }];
    if (membership === "join") return [200, { room_id: room.id }];
    if (room.keepsOut(SERVER)) return [403, { errcode: "M_FORBIDDEN", error: "Server is banned from room" }];
    if (room.joinRule !== "public" && membership !== "invite" && !this.#isAllowed(room, user)) {
      return [403, { errcode: "M_FORBIDDEN", error: "You are not invited to this room." }];
    }
    this.send(room, user, "m.room.member", content, user);
    return [200, { room_id: room.id }];
  }

  /** By a restricted join rule (spec, room version 8): who is in a room that it names. */
  #isAllowed(room: FakeRoom, user: string): boolean {
    const allow = room.stateEvent("m.room.join_rules")?.content["allow"];
    if (room.joinRule !== "restricted" || !Array.isArray(allow)) return false;
    const named = allow.map((entry) => (isJsonObject(entry) ? (stringAt(entry, "room_id") ?? "") : ""));
    return named.some((roomId) => this.rooms.get(roomId)?.membership(user) === "join");
  }

  #room(call: Call, room: FakeRoom): Reply {
    const { method, segments, query, body, user } = call;
    const [, , action, first = "", second = ""] = segments;
    const isIn = room.membership(user) === "join";
    // As Synapse: who may see an event may say so, in the room or not, and everybody there hears of it.
    const isReading = method === "GET" || action === "receipt" || action === "read_markers";
    const mayRead = isIn || (this.admins.has(user) && action === "aliases") || (isReading && this.#isPeekable(room));
    if (action === "state" && method === "GET" && segments.length > 3) {
      const event = room.stateEvent(first, second);
      if (!mayRead && !(first === "m.room.member" && second === user)) return NOT_THERE;
      if (event === null) return NOT_FOUND;
      return [200, query.get("format") === "event" ? event : event.content];
    }
    // One's own membership, set as state, is what the calls for it do (Synapse: `update_membership`).
    if (method === "PUT" && action === "state" && first === "m.room.member" && second === user) {
      const isJoin = body["membership"] === "join";
      if (!isJoin && !isIn && room.membership(user) !== "invite") return NOT_THERE;
      if (isJoin && !isIn) {
        const refused = this.#join(room.id, user, body);
        if (refused[0] !== 200) return refused;
      } else this.send(room, user, first, body, user);
      return [200, { event_id: room.stateEvent(first, user)?.event_id ?? "" }];
    }
    if (action === "leave") {
      if (!isIn && room.membership(user) !== "invite") return NOT_THERE;
      this.setMembership(room, user, "leave");
      return [200, {}];
    }
    // As Synapse: who was there is shown the room as it was then.
    if (action === "initialSync" && !isIn && room.membership(user) === "leave") {
      return [
        200,
        { room_id: room.id, membership: "leave", messages: { chunk: [], start: "s0", end: "s0" }, state: [] },
      ];
    }
    // As Synapse: an event that one may not see is not there.
    if (!mayRead) return action === "event" ? NOT_FOUND : NOT_THERE;
    if (this.heedsPower && !mayDo(room, user, method, segments.slice(2), body)) {
      return [403, { errcode: "M_FORBIDDEN", error: "You don't have permission to do that" }];
    }
    switch (`${method} ${action ?? ""}`) {
      case "GET initialSync":
        return [
          200,
          {
            room_id: room.id,
            messages: newestMessages(this.rooms.values(), room, Number(query.get("limit") ?? 10)),
            state: [...room.state],
            visibility: "public",
            ...(isIn ? { membership: "join" } : {}),
          },
        ];
      case "GET state":
        return [200, [...room.state]];
      case "GET members":
        if (!isIn && isBeforeServer(room, SERVER, query.get("at"))) return NOT_THERE;
        return [200, { chunk: room.state.filter(({ type }) => type === "m.room.member") }];
      case "GET joined_members":
        return [200, { joined: Object.fromEntries(room.users("join").map((id) => [id, {}])) }];
      case "GET messages":
        return [200, messagesOf(room, query)];
      case "GET event":
        return room.event(first) === null ? NOT_FOUND : [200, room.event(first)];
      case "GET context":
        return this.#context(room, first);
      case "GET relations":
        return [200, { chunk: room.relations(first, second, segments[5]) }];
      case "GET threads":
        return [200, { chunk: room.threads() }];
      case "GET timestamp_to_event":
        return [200, { event_id: room.eventAt(Number(query.get("ts"))) }];
      case "GET hierarchy":
        return [200, { rooms: room.hierarchy(this.rooms, user) }];
      case "GET aliases":
        return [200, { aliases: this.#aliasesOf(room) }];
      case "PUT send":
        // In room version 11 an m.room.redaction that is sent like a message redacts what its content names.
        if (first === "m.room.redaction" && typeof body["redacts"] === "string") {
          const redacts = body["redacts"];
          return this.#once(call, room, () => this.#pushed(room, room.redact(redacts, user, body)));
        }
        if (isDoubled(room, user, first, body) && !this.#isSent(call, room)) {
          return [400, { errcode: "M_DUPLICATE_ANNOTATION", error: "Can't send same reaction twice" }];
        }
        return this.#once(call, room, () => this.send(room, user, first, body));
      case "PUT redact":
        return this.#redact(call, room);
      case "PUT state":
        if (first === "m.room.member" && body["membership"] === "invite" && room.membership(second) === "join") {
          return [403, { errcode: "M_FORBIDDEN", error: `${second} is already in the room.` }];
        }
        // A redaction redacts also where it is sent as state: its type is what counts.
        if (first === "m.room.redaction") room.empty(stringAt(body, "redacts"));
        return [200, { event_id: this.send(room, user, first, body, second).event_id }];
      case "POST upgrade": {
        const version = stringAt(body, "new_version") ?? "";
        const creation = { predecessor: { room_id: room.id } };
        const replacement = this.#makeFor(user, { version, joinRule: room.joinRule, creation }).id;
        this.send(room, user, "m.room.tombstone", { replacement_room: replacement }, "");
        return [200, { replacement_room: replacement }];
      }
      case "POST receipt":
      case "POST read_markers":
        room.receipts.set(user, second === "" ? (stringAt(body, "m.read") ?? "") : second);
        return [200, {}];
      case "PUT typing":
        if (body["typing"] === true) room.typing.add(user);
        else room.typing.delete(user);
        return [200, {}];
      case "POST invite":
      case "POST kick":
      case "POST ban":
      case "POST unban": {
        const membership = action === "invite" ? "invite" : action === "ban" ? "ban" : "leave";
        this.setMembership(room, stringAt(body, "user_id") ?? "", membership, user);
        return [200, {}];
      }
      default:
        return [404, { errcode: "M_UNRECOGNIZED", error: "Unrecognized request" }];
    }
  }

  #context(room: FakeRoom, eventId: string): Reply {
    const event = room.event(eventId);
    return event === null ? NOT_FOUND : [200, { ...room.context(eventId), ...contextTokens(event) }];
  }

  /** With `with_relations` also what relates to the event, as Synapse does where MSC3912 is switched on. */
  #redact(call: Call, room: FakeRoom): Reply {
    const { segments, body, user } = call;
    const [, , , eventId = ""] = segments;
    const { [WITH_RELATIONS]: types, ...content } = body;
    if (content["redacts"] !== undefined && content["redacts"] !== eventId) {
      return [
        400,
        { errcode: "M_INVALID_PARAM", error: "Cannot provide a redacts value incoherent with the event_id" },
      ];
    }
    return this.#once(call, room, () => {
      const related = Array.isArray(types) ? types.flatMap((type) => relatedTo(room, eventId, type)) : [];
      const redaction = this.#pushed(room, room.redact(eventId, user, content));
      for (const { event_id: id } of related) this.#pushed(room, room.redact(id, user, content));
      return redaction;
    });
  }

  #isListed(roomId: string): boolean {
    return this.listed.get(roomId) ?? this.rooms.get(roomId)?.options.listed === true;
  }

  /** Whether those who are not in the room may read it here: somebody of this server has to be in it. */
  #isPeekable(room: FakeRoom): boolean {
    const visibility = room.stateEvent("m.room.history_visibility")?.content["history_visibility"];
    return visibility === "world_readable" && room.users("join").some((member) => member.endsWith(`:${SERVER}`));
  }

  #pushed(room: FakeRoom, event: FakeEvent): FakeEvent {
    if (this.#isInterested(room, undefined)) this.sender.push(event);
    return event;
  }

  /** As Synapse: of a device, a transaction ID is the room's, whatever it was used for; without one, the request's whole path's. */
  #once(call: Call, room: FakeRoom, make: () => FakeEvent): Reply {
    const [known, key] = this.#memoryOf(call, room);
    const eventId = known.get(key) ?? make().event_id;
    known.set(key, eventId);
    return [200, { event_id: eventId }];
  }

  #isSent(call: Call, room: FakeRoom): boolean {
    const [known, key] = this.#memoryOf(call, room);
    return known.has(key);
  }

  #memoryOf({ token, segments, query }: Call, room: FakeRoom): readonly [known: Map<string, string>, key: string] {
    const device = query.get("device_id");
    if (device === null) return [this.#sent.process, [token, ...segments].join(" ")];
    return [this.#sent.devices, [token, device, room.id, segments.at(-1)].join(" ")];
  }
}

/** A sender annotates an event once with one key (Synapse: `deduplicate_annotations`). */
function isDoubled(room: FakeRoom, user: string, type: string, content: JsonObject): boolean {
  const keyIn = ({ "m.relates_to": relation = null }: JsonObject): string | null =>
    isJsonObject(relation) && relation["rel_type"] === "m.annotation" ? stringAt(relation, "key") : null;
  const key = keyIn(content);
  const relation = content["m.relates_to"];
  if (key === null || !isJsonObject(relation)) return false;
  const others = room.relations(stringAt(relation, "event_id") ?? "", "m.annotation", type);
  return others.some((other) => other.sender === user && keyIn(other.content) === key);
}

const WITH_RELATIONS = "org.matrix.msc3912.with_relations";

function relatedTo(room: FakeRoom, eventId: string, type: JsonValue): readonly FakeEvent[] {
  if (typeof type !== "string") return [];
  return room.relations(eventId, type === "*" ? undefined : type);
}

/** A page of a list of rooms: two at a time, so that there is a next one. */
function pageOf(
  rooms: readonly FakeRoom[],
  query: URLSearchParams,
  key: string,
): { rooms: JsonObject[]; next: JsonObject } {
  const start = Number(query.get(key) ?? 0);
  const page = rooms.slice(start, start + 2).map((room) => {
    const alias = stringAt(room.stateEvent("m.room.canonical_alias")?.content ?? {}, "alias");
    return { room_id: room.id, ...(alias === null ? {} : { canonical_alias: alias }) };
  });
  return { rooms: page, next: start + 2 < rooms.length ? { next_batch: String(start + 2) } : {} };
}

/** Resolves when the response takes more, or is over. */
async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const events = ["drain", "close"].map((name) => once(response, name, { signal: over.signal }));
  await Promise.race(events);
  over.abort();
  await Promise.allSettled(events);
}

async function readBody(request: IncomingMessage, seen: SeenRequest): Promise<void> {
  const hash = createHash("sha256");
  const kept: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    seen.size += chunk.length;
    hash.update(chunk);
    if (seen.size <= 1024 * 1024) kept.push(chunk);
  }
  seen.digest = hash.digest("hex");
  seen.text = Buffer.concat(kept).toString("utf8");
  try {
    const value: unknown = shallow(JSON.parse(seen.text) as JsonValue);
    if (isJsonObject(value)) seen.body = value;
  } catch {
    // Not every body is JSON.
  }
}

function isJsonFault(fault: Fault | null): fault is Extract<Fault, { body: JsonObject }> {
  return typeof fault === "object" && fault !== null && "body" in fault;
}

function isTextFault(fault: Fault | null): fault is Extract<Fault, { text: string }> {
  return typeof fault === "object" && fault !== null && "text" in fault;
}
