import { Gateway, ServerError, type GatewayOptions, type Json } from "./requests.ts";

const V3 = ["client", "v3"] as const;

type Sent = Promise<{ event_id: string }>;

/**
 * Replaces the `Intent` of a bridge built on matrix-appservice-bridge by the server's pseudouser: the same calls,
 * arguments and answers, for one user of the tenant. It needs no join and no power level first.
 */
export class ServerIntent {
  readonly #gateway: Gateway;

  constructor(options: GatewayOptions) {
    this.#gateway = new Gateway(options);
  }

  /** The user that this acts as; null for the tenant's sender. */
  get userId(): string | null {
    return this.#gateway.userId;
  }

  async resolveRoom(idOrAlias: string): Promise<string> {
    if (idOrAlias.startsWith("!")) return idOrAlias;
    return text(await this.#gateway.ask("GET", [...V3, "directory", "room", idOrAlias]), "room_id");
  }

  /** Takes the tenant's lease, and resolves when the server is in the room. @returns the room's ID */
  async join(idOrAlias: string, viaServers: readonly string[] = []): Promise<string> {
    const query = { via: viaServers, server_name: viaServers };
    return text(await this.#gateway.ask("POST", [...V3, "join", idOrAlias], { query }), "room_id");
  }

  async leave(roomId: string, reason?: string): Promise<void> {
    await this.#room("POST", roomId, ["leave"], reasoned(reason));
  }

  sendText(roomId: string, body: string): Sent {
    return this.sendMessage(roomId, { msgtype: "m.text", body });
  }

  sendMessage(roomId: string, content: Json): Sent {
    return this.sendEvent(roomId, "m.room.message", content);
  }

  /** @param transactionId your own ID, so that a send repeated after a crash is one event */
  sendEvent(roomId: string, type: string, content: Json, transactionId = this.#gateway.transactionId()): Sent {
    return this.#put(roomId, ["send", type, transactionId], content);
  }

  redactEvent(roomId: string, eventId: string, reason?: string, transactionId = this.#gateway.transactionId()): Sent {
    return this.#put(roomId, ["redact", eventId, transactionId], reasoned(reason));
  }

  sendStateEvent(roomId: string, type: string, stateKey: string, content: Json): Sent {
    return this.#put(roomId, statePath(type, stateKey), content);
  }

  setRoomName(roomId: string, name: string): Sent {
    return this.sendStateEvent(roomId, "m.room.name", "", { name });
  }

  setRoomTopic(roomId: string, topic: string): Sent {
    return this.sendStateEvent(roomId, "m.room.topic", "", { topic });
  }

  setRoomAvatar(roomId: string, url: string, info?: unknown): Sent {
    return this.sendStateEvent(roomId, "m.room.avatar", "", { url, ...(info === undefined ? {} : { info }) });
  }

  /** Sends nothing if the user has that level already. @param level undefined for the room's default */
  async setPowerLevel(roomId: string, target: string, level: number | undefined): Promise<void> {
    const type = "m.room.power_levels";
    const content = (await this.getStateEvent(roomId, type, "", true)) ?? {};
    const users = new Map(Object.entries((content["users"] ?? {}) as Record<string, number>));
    if (users.get(target) === level) return;
    if (level === undefined) users.delete(target);
    else users.set(target, level);
    await this.sendStateEvent(roomId, type, "", { ...content, users: Object.fromEntries(users) });
  }

  async sendTyping(roomId: string, isTyping: boolean): Promise<void> {
    const body = isTyping ? { typing: true, timeout: 30_000 } : { typing: false };
    await this.#room("PUT", roomId, ["typing", await this.#self()], body);
  }

  async sendReadReceipt(roomId: string, eventId: string): Promise<void> {
    await this.#room("POST", roomId, ["receipt", "m.read", eventId], {});
  }

  roomState(roomId: string): Promise<unknown> {
    return this.#room("GET", roomId, ["state"]);
  }

  /** @param returnNull return null instead of an error if the room has no such state */
  async getStateEvent(roomId: string, type: string, stateKey = "", returnNull = false): Promise<Json | null> {
    try {
      return await this.#room("GET", roomId, statePath(type, stateKey));
    } catch (error) {
      if (returnNull && error instanceof ServerError && error.errcode === "M_NOT_FOUND") return null;
      throw error;
    }
  }

  getEvent(roomId: string, eventId: string): Promise<Json> {
    return this.#room("GET", roomId, ["event", eventId]);
  }

  async createRoom({ options = {} }: { readonly options?: Json }): Promise<{ room_id: string }> {
    const answer = await this.#gateway.ask("POST", [...V3, "createRoom"], { body: options });
    return { room_id: text(answer, "room_id") };
  }

  async invite(roomId: string, target: string): Promise<void> {
    await this.#room("POST", roomId, ["invite"], { user_id: target });
  }

  async kick(roomId: string, target: string, reason?: string): Promise<void> {
    await this.#room("POST", roomId, ["kick"], { user_id: target, ...reasoned(reason) });
  }

  async ban(roomId: string, target: string, reason?: string): Promise<void> {
    await this.#room("POST", roomId, ["ban"], { user_id: target, ...reasoned(reason) });
  }

  async unban(roomId: string, target: string): Promise<void> {
    await this.#room("POST", roomId, ["unban"], { user_id: target });
  }

  async createAlias(alias: string, roomId: string): Promise<void> {
    await this.#gateway.ask("PUT", [...V3, "directory", "room", alias], { body: { room_id: roomId } });
  }

  async getProfileInfo(userId: string): Promise<{ displayname?: string; avatar_url?: string }> {
    return this.#gateway.ask("GET", [...V3, "profile", userId]);
  }

  async setDisplayName(displayname: string): Promise<void> {
    await this.#profile("displayname", displayname);
  }

  async setAvatarUrl(url: string): Promise<void> {
    await this.#profile("avatar_url", url);
  }

  async ensureProfile(displayname?: string, avatarUrl?: string): Promise<void> {
    if (displayname !== undefined) await this.setDisplayName(displayname);
    if (avatarUrl !== undefined) await this.setAvatarUrl(avatarUrl);
  }

  /** @returns the `mxc://` address */
  async uploadContent(
    content: Uint8Array<ArrayBuffer> | string,
    { type = "application/octet-stream", name }: { readonly type?: string; readonly name?: string } = {},
  ): Promise<string> {
    const ask = { raw: { body: content, type }, query: { filename: name } };
    return text(await this.#gateway.ask("POST", ["media", "v3", "upload"], ask), "content_uri");
  }

  async #profile(field: "displayname" | "avatar_url", value: string): Promise<void> {
    await this.#gateway.ask("PUT", [...V3, "profile", await this.#self(), field], { body: { [field]: value } });
  }

  async #self(): Promise<string> {
    return this.#gateway.userId ?? text(await this.#gateway.ask("GET", [...V3, "account", "whoami"]), "user_id");
  }

  async #put(roomId: string, path: readonly string[], body: Json): Promise<{ event_id: string }> {
    return { event_id: text(await this.#room("PUT", roomId, path, body), "event_id") };
  }

  #room(method: "GET" | "PUT" | "POST", roomId: string, path: readonly string[], body?: Json): Promise<Json> {
    return this.#gateway.ask(method, [...V3, "rooms", roomId, ...path], body === undefined ? {} : { body });
  }
}

/** Leaves out an empty segment, which some proxies drop. */
function statePath(type: string, stateKey: string): readonly string[] {
  return stateKey === "" ? ["state", type] : ["state", type, stateKey];
}

function reasoned(reason: string | undefined): Json {
  return reason === undefined ? {} : { reason };
}

function text(answer: Json, key: string): string {
  const value = answer[key];
  if (typeof value === "string") return value;
  throw new ServerError(200, { errcode: "M_UNKNOWN", error: `the gateway's answer has no ${key}` });
}
