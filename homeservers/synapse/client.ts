/**
 * A user of a homeserver, for the demo and the tests: the client-server calls they need, one method each, and `request` for
 * everything else. It is written apart from src/, so that what the program does is judged by something else.
 */
import { randomUUID } from "node:crypto";

const POLL_MS = 2_000;
const TIMELINE_LIMIT = 50;

export type Json = Record<string, unknown>;
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
export type Answer = { readonly status: number; readonly body: Json };

export type RoomEvent = {
  readonly type: string;
  readonly event_id: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly origin_server_ts: number;
  readonly content: Json;
  readonly unsigned?: Json;
};

export type MessagesPage = { readonly chunk: RoomEvent[]; readonly start: string; readonly end?: string };

type Sync = { next_batch: string; rooms?: { join?: Record<string, { timeline?: { events?: RoomEvent[] } }> } };

export class MatrixRequestError extends Error {
  override readonly name = "MatrixRequestError";
  readonly status: number;
  readonly errcode: string;
  /** The whole answer. */
  readonly body: Json;

  constructor(request: string, answer: Answer) {
    const errcode = typeof answer.body["errcode"] === "string" ? answer.body["errcode"] : "M_UNKNOWN";
    const error = typeof answer.body["error"] === "string" ? answer.body["error"] : "no reason given";
    super(`${request}: ${answer.status} ${errcode}: ${error}`);
    this.status = answer.status;
    this.errcode = errcode;
    this.body = answer.body;
  }
}

export class MatrixUser {
  readonly homeserverUrl: string;
  readonly userId: string;
  readonly accessToken: string;

  constructor(user: { homeserverUrl: string; userId: string; accessToken: string }) {
    this.homeserverUrl = user.homeserverUrl;
    this.userId = user.userId;
    this.accessToken = user.accessToken;
  }

  /** Never throws for an error answer. `path` begins with /_matrix. */
  async request(method: string, path: string, query: Query = {}, body?: Json): Promise<Answer> {
    const url = new URL(path, this.homeserverUrl);
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
    }
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${this.accessToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: parse(await response.text()) };
  }

  async whoami(): Promise<Json> {
    return this.#call("GET", "/account/whoami");
  }

  async setDisplayname(displayname: string): Promise<void> {
    await this.#call("PUT", `/profile/${encodeURIComponent(this.userId)}/displayname`, {}, { displayname });
  }

  /** Resolves with the room's ID. `room_version`, `preset`, `room_alias_name` … as in the specification. */
  async createRoom(body: Json = {}): Promise<string> {
    return (await this.#call<{ room_id: string }>("POST", "/createRoom", {}, body)).room_id;
  }

  /** Resolves with the room's ID. `via` goes out under its old name too, for servers that know only that. */
  async join(roomIdOrAlias: string, via: readonly string[] = []): Promise<string> {
    const query = { via, server_name: via };
    return (await this.#call<{ room_id: string }>("POST", `/join/${encodeURIComponent(roomIdOrAlias)}`, query, {}))
      .room_id;
  }

  async leave(roomId: string): Promise<void> {
    await this.#call("POST", `${room(roomId)}/leave`, {}, {});
  }

  async invite(roomId: string, userId: string): Promise<void> {
    await this.#call("POST", `${room(roomId)}/invite`, {}, { user_id: userId });
  }

  async kick(roomId: string, userId: string, reason?: string): Promise<void> {
    await this.#call("POST", `${room(roomId)}/kick`, {}, { user_id: userId, reason });
  }

  async ban(roomId: string, userId: string, reason?: string): Promise<void> {
    await this.#call("POST", `${room(roomId)}/ban`, {}, { user_id: userId, reason });
  }

  async unban(roomId: string, userId: string): Promise<void> {
    await this.#call("POST", `${room(roomId)}/unban`, {}, { user_id: userId });
  }

  /** Resolves with the event's ID. */
  async sendText(roomId: string, body: string): Promise<string> {
    return this.sendEvent(roomId, "m.room.message", { msgtype: "m.text", body });
  }

  async sendEvent(roomId: string, type: string, content: Json): Promise<string> {
    const path = `${room(roomId)}/send/${encodeURIComponent(type)}/${randomUUID()}`;
    return (await this.#call<{ event_id: string }>("PUT", path, {}, content)).event_id;
  }

  async sendState(roomId: string, type: string, content: Json, stateKey = ""): Promise<string> {
    const path = `${room(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`;
    return (await this.#call<{ event_id: string }>("PUT", path, {}, content)).event_id;
  }

  /** All membership events, of those who left too. */
  async members(roomId: string): Promise<RoomEvent[]> {
    return (await this.#call<{ chunk: RoomEvent[] }>("GET", `${room(roomId)}/members`)).chunk;
  }

  async joinedMembers(roomId: string): Promise<string[]> {
    return Object.keys((await this.#call<{ joined: Json }>("GET", `${room(roomId)}/joined_members`)).joined).sort();
  }

  async joinedRooms(): Promise<string[]> {
    return (await this.#call<{ joined_rooms: string[] }>("GET", "/joined_rooms")).joined_rooms;
  }

  async messages(roomId: string, dir: "b" | "f" = "b", limit = 50): Promise<MessagesPage> {
    return this.#call<MessagesPage>("GET", `${room(roomId)}/messages`, { dir, limit });
  }

  async state(roomId: string): Promise<RoomEvent[]> {
    return this.#call<RoomEvent[]>("GET", `${room(roomId)}/state`);
  }

  async event(roomId: string, eventId: string): Promise<RoomEvent> {
    return this.#call<RoomEvent>("GET", `${room(roomId)}/event/${encodeURIComponent(eventId)}`);
  }

  /** A look at a room before joining, over federation where needed. */
  async roomSummary(roomIdOrAlias: string, via: readonly string[] = []): Promise<Json> {
    const path = `/_matrix/client/v1/room_summary/${encodeURIComponent(roomIdOrAlias)}`;
    return this.#call("GET", path, { via });
  }

  /** The first event of the room for which `isWanted` holds, of those there already and those to come. */
  async waitForMessage(
    roomId: string,
    isWanted: (event: RoomEvent) => boolean,
    timeoutMs = 10_000,
  ): Promise<RoomEvent> {
    return awaitMessage(this, roomId, isWanted, timeoutMs);
  }

  async #call<T = Json>(method: string, path: string, query?: Query, body?: Json): Promise<T> {
    const full = path.startsWith("/_matrix/") ? path : `/_matrix/client/v3${path}`;
    const answer = await this.request(method, full, query, body);
    if (answer.status >= 400) throw new MatrixRequestError(`${this.userId} ${method} ${full}`, answer);
    return answer.body as T;
  }
}

function room(roomId: string): string {
  return `/rooms/${encodeURIComponent(roomId)}`;
}

/** A proxy in between may answer with something that is not JSON, which belongs into the error message. */
function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return { error: text };
  }
}

/** Waits by long-polling `/sync`. */
async function awaitMessage(
  user: MatrixUser,
  roomId: string,
  isWanted: (event: RoomEvent) => boolean,
  timeoutMs: number,
): Promise<RoomEvent> {
  const none = { not_types: ["*"] };
  const filter = JSON.stringify({
    account_data: none,
    presence: none,
    room: {
      rooms: [roomId],
      account_data: none,
      ephemeral: none,
      state: { lazy_load_members: true },
      timeline: { limit: TIMELINE_LIMIT },
    },
  });
  const deadline = performance.now() + timeoutMs;
  let since: string | undefined;
  const seen: string[] = [];
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    // The first call answers at once with what is there.
    const timeout = since === undefined ? 0 : Math.round(Math.min(POLL_MS, left));
    const answer = await user.request("GET", "/_matrix/client/v3/sync", { filter, since, timeout });
    if (answer.status >= 400) throw new MatrixRequestError(`${user.userId} GET /sync`, answer);
    const sync = answer.body as Sync;
    since = sync.next_batch;
    const events = sync.rooms?.join?.[roomId]?.timeline?.events ?? [];
    const wanted = events.find(isWanted);
    if (wanted) return wanted;
    for (const event of events) seen.push(`${event.type} of ${event.sender}`);
    if (left === 0) {
      const what = seen.length > 0 ? `It saw: ${seen.slice(-10).join(", ")}.` : "It saw none.";
      throw new Error(
        `${user.userId} waited ${timeoutMs / 1000} s for an event in ${roomId} that did not come. ${what}`,
      );
    }
  }
}
