import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";

/** A room event as the fake homeserver holds it and hands it out. */
export interface FakeEvent extends JsonObject {
  event_id: string;
  room_id: string;
  type: string;
  sender: string;
  origin_server_ts: number;
  content: JsonObject;
}

export interface RoomOptions {
  readonly id?: string;
  readonly alias?: string;
  readonly name?: string;
  readonly creator?: string;
  readonly joinRule?: string;
  readonly historyVisibility?: string;
  readonly encrypted?: boolean;
  readonly version?: string;
  /** The room that it replaces. */
  readonly predecessor?: FakeRoom | string;
  /** More that m.room.create says. */
  readonly creation?: JsonObject;
  /** Joined members beside the creator. */
  readonly members?: readonly string[];
  /** False for a room of which the homeserver can tell nothing from outside; `members` for one of which it tells who is in it. */
  readonly summary?: boolean | "members";
  /** Servers that the directory names for its aliases. */
  readonly servers?: readonly string[];
  /** Whether it is in the room directory. */
  readonly listed?: boolean;
  /** Overrides what the summary says of the number of joined members. */
  readonly summaryMembers?: number;
  /** Servers through which it is reached while nobody of ours is in it; any where left out. */
  readonly routes?: readonly string[];
  /** True for a room whose servers do not do as its access list says. */
  readonly ignoresAcl?: boolean;
}

let serial = 0;

/** One room: its current state and its timeline. Rules beyond join rules and bans are left out. */
export class FakeRoom {
  readonly id: string;
  readonly version: string;
  readonly options: RoomOptions;
  readonly timeline: FakeEvent[] = [];
  /** Whose receipt stands where, and who types. */
  readonly receipts = new Map<string, string>();
  readonly typing = new Set<string>();
  readonly #state = new Map<string, FakeEvent>();

  constructor(options: RoomOptions) {
    serial += 1;
    this.options = options;
    this.id = options.id ?? `!room${serial}:elsewhere.test`;
    this.version = options.version ?? "11";
    const creator = options.creator ?? "@creator:elsewhere.test";
    const { predecessor } = options;
    const before = typeof predecessor === "string" ? predecessor : predecessor?.id;
    const link = before === undefined ? {} : { predecessor: { room_id: before } };
    this.append("m.room.create", creator, { ...link, ...options.creation, room_version: this.version }, "");
    this.append("m.room.member", creator, { membership: "join" }, creator);
    this.append("m.room.join_rules", creator, { join_rule: options.joinRule ?? "public" }, "");
    const visibility = options.historyVisibility ?? "shared";
    this.append("m.room.history_visibility", creator, { history_visibility: visibility }, "");
    if (options.name !== undefined) this.append("m.room.name", creator, { name: options.name }, "");
    if (options.encrypted === true) {
      this.append("m.room.encryption", creator, { algorithm: "m.megolm.v1.aes-sha2" }, "");
    }
    for (const member of options.members ?? []) {
      this.append("m.room.member", member, { membership: "join", displayname: member.slice(1, 4) }, member);
    }
  }

  /** Adds an event, as state where it has a key. */
  append(type: string, sender: string, content: JsonObject, stateKey?: string): FakeEvent {
    serial += 1;
    const event: FakeEvent = {
      event_id: `$event${serial}`,
      room_id: this.id,
      type,
      sender,
      origin_server_ts: 1_700_000_000_000 + serial,
      content,
    };
    if (stateKey !== undefined) {
      event["state_key"] = stateKey;
      const before = this.stateEvent(type, stateKey);
      if (before !== null) event["unsigned"] = { replaces_state: before.event_id };
      this.#state.set(keyOf(type, stateKey), event);
    }
    this.timeline.push(event);
    return event;
  }

  stateEvent(type: string, stateKey = ""): FakeEvent | null {
    return this.#state.get(keyOf(type, stateKey)) ?? null;
  }

  get state(): readonly FakeEvent[] {
    return [...this.#state.values()];
  }

  event(eventId: string): FakeEvent | null {
    return this.timeline.find((event) => event.event_id === eventId) ?? null;
  }

  /** Whether its access list has its servers refuse another one. */
  keepsOut(server: string): boolean {
    const content = this.stateEvent("m.room.server_acl")?.content;
    if (content === undefined || this.options.ignoresAcl === true) return false;
    const has = (key: string): boolean =>
      Array.isArray(content[key]) && content[key].some((glob) => glob === "*" || glob === server);
    return has("deny") || !has("allow");
  }

  /** Whether one of these servers, or of ours, has it. */
  isReached(query: URLSearchParams, own: string): boolean {
    const { routes } = this.options;
    if (routes === undefined || this.users("join").some((user) => user.endsWith(`:${own}`))) return true;
    return [...query.getAll("via"), ...query.getAll("server_name")].some((server) => routes.includes(server));
  }

  membership(userId: string): string | null {
    const membership = this.stateEvent("m.room.member", userId)?.content["membership"];
    return typeof membership === "string" ? membership : null;
  }

  /** Users with this membership, in the order of their IDs. */
  users(membership: string): string[] {
    return this.state
      .filter((event) => event.type === "m.room.member" && event.content["membership"] === membership)
      .map((event) => stringAt(event, "state_key") ?? "")
      .sort();
  }

  get joinRule(): string {
    return stringAt(this.stateEvent("m.room.join_rules")?.content ?? {}, "join_rule") ?? "invite";
  }

  /** What a room shows of itself from outside, where it has it. */
  get shown(): JsonObject {
    const fields = [
      ["name", "m.room.name", "name"],
      ["topic", "m.room.topic", "topic"],
      ["canonical_alias", "m.room.canonical_alias", "alias"],
    ] as const;
    const texts = fields.map(
      ([key, type, field]) => [key, stringAt(this.stateEvent(type)?.content ?? {}, field)] as const,
    );
    return Object.fromEntries(texts.filter(([, text]) => text !== null));
  }

  context(eventId: string): JsonObject {
    const at = this.timeline.findIndex((event) => event.event_id === eventId);
    return {
      event: this.event(eventId),
      events_before: this.timeline.slice(0, at).toReversed(),
      events_after: this.timeline.slice(at + 1),
      state: [...this.state],
    };
  }

  /** Events that relate to one, newest first; of one relation and one type where these are given. */
  relations(eventId: string, relType?: string, type?: string): FakeEvent[] {
    return this.timeline
      .filter((event) => {
        const relation = event.content["m.relates_to"];
        if (!isJsonObject(relation) || relation["event_id"] !== eventId) return false;
        const isOfType = type === undefined || type === "" || event.type === type;
        return isOfType && (relType === undefined || relType === "" || relation["rel_type"] === relType);
      })
      .toReversed();
  }

  /**
   * What clients show in an event's place: its newest edit. As Synapse takes it: of the same sender and type, and it does not ask
   * whether the edit is state (storage/databases/main/relations.py, get_applicable_edits).
   */
  editOf(original: FakeEvent): FakeEvent | null {
    const edits = this.relations(original.event_id, "m.replace", original.type);
    return edits.find(({ sender }) => sender === original.sender) ?? null;
  }

  /** Roots of threads, each with the newest event of its thread. */
  threads(): JsonObject[] {
    return this.timeline.flatMap((root) => {
      const [latest] = this.relations(root.event_id, "m.thread");
      if (latest === undefined) return [];
      return [{ ...root, unsigned: { "m.relations": { "m.thread": { latest_event: latest, count: 1 } } } }];
    });
  }

  eventAt(ts: number): string | null {
    return this.timeline.find((event) => event.origin_server_ts >= ts)?.event_id ?? null;
  }

  /** The room and those that it names as a space, as far as the user may see them. */
  hierarchy(rooms: ReadonlyMap<string, FakeRoom>, user: string): JsonObject[] {
    const children = this.state.filter(({ type }) => type === "m.space.child");
    const found = children.flatMap((child) => rooms.get(stringAt(child, "state_key") ?? "") ?? []);
    const isSeen = (room: FakeRoom): boolean => room.joinRule === "public" || room.membership(user) === "join";
    return [this, ...found].filter(isSeen).map((room) => ({
      room_id: room.id,
      ...room.shown,
      join_rule: room.joinRule,
      num_joined_members: room.users("join").length,
      children_state: room === this ? children.map(stripped) : [],
    }));
  }

  /** What of an event remains after a redaction. */
  redact(eventId: string, sender: string, content: JsonObject): FakeEvent {
    const redaction = this.append("m.room.redaction", sender, { ...content, redacts: eventId });
    const target = this.empty(eventId);
    if (target !== null) target["unsigned"] = { redacted_because: redaction };
    return redaction;
  }

  /** Takes an event's content away. */
  empty(eventId: string | null): FakeEvent | null {
    const target = eventId === null ? null : this.event(eventId);
    if (target !== null) target.content = {};
    return target;
  }
}

function stripped({ type, state_key = null, sender, content, origin_server_ts }: FakeEvent): JsonObject {
  return { type, state_key, sender, content, origin_server_ts };
}

function keyOf(type: string, stateKey: string): string {
  return `${type}\n${stateKey}`;
}
