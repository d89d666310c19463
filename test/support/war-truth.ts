import { expect } from "vitest";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import type { FakeEvent, FakeRoom } from "./fake-homeserver-rooms.ts";
import { PSEUDOUSER, type Answer } from "./service-app.ts";
import { CANARY, done, isPseudousers, OWNER, PERSONA, PERSONA_LEVELS, PROFILE, type Cast } from "./war-cast.ts";
import type { Scene } from "./war-scene.ts";

export type SideName = "raider" | "host";

/** Users of tenants, who exist in no room. */
const TENANTS_USER = /^@_(?:host|raider|emissary)_/;
const HOSTS_USER = /^@_(?:host_|emissary_host)/;

/**
 * What is true of the homeserver, beside what each side was told of its own deeds. Whatever the pseudouser did there has to be
 * somebody's who may do it, and what the host has stays as the host and people left it.
 */
export class Truth {
  readonly #cast: Cast;
  /** Whose an event is, by the answer that its sender got. */
  readonly #owners = new Map<string, SideName>();
  /** The host's events with their contents, and what they are to be shown as. */
  readonly #kept = new Map<string, { readonly room: FakeRoom; readonly content: string; readonly edits: string[] }>();
  readonly #makers = new Map<string, SideName>();
  /** Memberships of others that the raider was told are done. */
  readonly #asked = new Set<string>();
  readonly #read = new Map<FakeRoom, number>();
  #scene: Scene | null = null;
  #account = new Map<string, string>();
  #displayname: string | undefined;

  constructor(cast: Cast) {
    this.#cast = cast;
    for (const room of cast.homeserver.rooms.values()) this.#read.set(room, room.timeline.length);
  }

  // What is told here.

  begin(scene: Scene): void {
    this.#scene = scene;
    const { accountData, profiles } = this.#cast.homeserver;
    for (const [key, value] of accountData) this.#account.set(key, JSON.stringify(value));
    this.#displayname = profiles.get(PSEUDOUSER);
  }

  madeFor(room: FakeRoom, side: SideName): void {
    this.#makers.set(room.id, side);
  }

  /** A side's event, by the answer to its request. @returns the event's ID, null where there is none */
  sent(side: SideName, room: FakeRoom, answer: Answer): string | null {
    const eventId = stringAt(answer.body, "event_id");
    if (side === "host") done(answer);
    if (answer.status !== 200 || eventId === null) return null;
    const event = room.event(eventId);
    // The raider may be told of none: a membership of its own users is no event.
    if (event === null && side === "raider") return null;
    if (event === null) throw new Error(`the host's event ${eventId} is not in ${room.id}`);
    // Two tenants that use the same transaction ID have two events.
    expect(this.#owners.get(eventId) ?? side, `the owner of ${eventId}`).toBe(side);
    this.#owners.set(eventId, side);
    if (side === "host" && event.type !== "m.room.redaction") {
      this.#kept.set(eventId, { room, content: JSON.stringify(event.content), edits: [] });
    }
    return eventId;
  }

  edited(original: string, edit: string): void {
    this.#kept.get(original)?.edits.push(edit);
  }

  /** The host, or a person with power, redacted it: what becomes of it is no matter of the raider's. */
  gone(eventId: string): void {
    this.#kept.delete(eventId);
    for (const { edits } of this.#kept.values()) if (edits.includes(eventId)) edits.splice(edits.indexOf(eventId), 1);
  }

  asked(room: FakeRoom, user: string): void {
    this.#asked.add(`${room.id} ${user}`);
  }

  hostNoted(key: string, value: JsonObject): void {
    this.#account.set(key, JSON.stringify(value));
  }

  /** The host's own events that stand in a room, oldest first. */
  hostsIn(room: FakeRoom): string[] {
    return [...this.#kept].filter(([, kept]) => kept.room === room).map(([eventId]) => eventId);
  }

  ownerOf(eventId: string): SideName | null {
    return this.#owners.get(eventId) ?? null;
  }

  // What is asked here.

  /**
   * Looks at all that happened since the last time. Whatever is not right fails.
   * @param hasUploaded whether the host has used the address that it reserved
   */
  verify(hasUploaded = false): void {
    const { homeserver } = this.#cast;
    for (const room of homeserver.rooms.values()) {
      const from = this.#read.get(room) ?? 0;
      this.#read.set(room, room.timeline.length);
      for (const event of room.timeline.slice(from)) if (isPseudousers(event)) this.#judge(room, event);
    }
    for (const [eventId, { room, content, edits }] of this.#kept) {
      const event = room.event(eventId) as FakeEvent;
      expect(JSON.stringify(event.content), `the host's event ${eventId} in ${room.id}`).toBe(content);
      const edit = room.editOf(event);
      const what = `what the host's event ${eventId} shows as: ${JSON.stringify(edit)}`;
      expect(edit?.event_id ?? null, what).toBe(edits.at(-1) ?? null);
    }
    this.#hostsThings(hasUploaded);
  }

  #hostsThings(hasUploaded: boolean): void {
    const scene = this.#scene as Scene;
    const { rooms, aliases, reservation, homeserver } = scene;
    for (const [name, room] of Object.entries(rooms) as [string, FakeRoom][]) {
      if (name === "lair" || name === "own" || name === "hub") continue;
      expect([name, room.membership(PSEUDOUSER)]).toEqual([name, "join"]);
    }
    for (const room of [rooms.secret, rooms.den, rooms.office]) {
      expect([...room.receipts.keys(), ...room.typing], `receipts and typing in ${room.id}`).toEqual([]);
      expect(homeserver.listed.get(room.id), `whether ${room.id} is listed`).toBeUndefined();
    }
    expect(homeserver.listed.get(rooms.shop.id), "whether the shop is listed").toBeUndefined();
    expect([aliases.team, homeserver.aliases.get(aliases.team)]).toEqual([aliases.team, rooms.den.id]);
    expect([aliases.shop, homeserver.aliases.get(aliases.shop)]).toEqual([aliases.shop, rooms.shop.id]);
    expect(homeserver.media.files.has(reservation), "whether the host's address was used").toBe(hasUploaded);
    for (const [key, value] of this.#account) {
      if (isHosts(key, value)) expect([key, JSON.stringify(homeserver.accountData.get(key))]).toEqual([key, value]);
    }
    expect(homeserver.called, "hosts that the homeserver was made to call").toEqual([]);
    expect(homeserver.profiles.get(PSEUDOUSER), "the pseudouser's name").toBe(this.#displayname);
  }

  #judge(room: FakeRoom, event: FakeEvent): void {
    const what = `${event.type} ${event.event_id} in ${room.id}: ${JSON.stringify(event)}`;
    const { secret, den, office, shop } = (this.#scene as Scene).rooms;
    if (event.type === "m.room.member") {
      this.#judgeMembership(room, event, what);
      return;
    }
    const owner = this.#owners.get(event.event_id) ?? this.#makerIn(room, event);
    if (owner === null) {
      expect(event.type, `an event that nobody asked for: ${what}`).toBe("io.element.functional_members");
      expect(event.content, `marked, and nobody's: ${what}`).not.toHaveProperty([OWNER]);
      return;
    }
    const isState = typeof event["state_key"] === "string";
    judgeMarks(event.content, owner, what);
    this.#judgeLevels(room, event, owner, what);
    if (owner === "host") return;
    expect([secret, den, office].includes(room), `the raider wrote into a private room: ${what}`).toBe(false);
    expect(room === shop && isState, `the raider set state in the host's room: ${what}`).toBe(false);
    const redacted = event.type === "m.room.redaction" ? stringAt(event.content, "redacts") : null;
    for (const id of [replacedBy(event), redacted]) {
      // What is in another room is not reached.
      if (id === null || room.event(id) === null) continue;
      expect(this.#owners.get(id), `the raider touched the host's ${id}: ${what}`).not.toBe("host");
    }
  }

  /** Whose an event is that no answer names: part of a new room, or what an upgrade leaves in the old one. */
  #makerIn(room: FakeRoom, { type, content }: FakeEvent): SideName | null {
    const maker = this.#makers.get(room.id);
    const isNew = room.stateEvent("m.room.create")?.sender === PSEUDOUSER;
    // The host makes none during a war.
    if (isNew) return maker ?? "raider";
    return type === "m.room.tombstone" && stringAt(content, "replacement_room")?.startsWith("!made") ? "raider" : null;
  }

  #judgeMembership(room: FakeRoom, event: FakeEvent, what: string): void {
    const user = stringAt(event, "state_key") ?? "";
    if (user === PSEUDOUSER) return;
    expect(TENANTS_USER.test(user), `a tenant's user is in a room, or invited to one: ${what}`).toBe(false);
    const { secret, den, office, shop } = (this.#scene as Scene).rooms;
    expect([secret, den, office, shop].includes(room), `a membership in the host's room: ${what}`).toBe(false);
    const isAsked = this.#asked.has(`${room.id} ${user}`) || this.#makerIn(room, event) === "raider";
    expect(isAsked, `a membership that nobody asked for: ${what}`).toBe(true);
  }

  /** What a tenant's personas may in a room is that tenant's to say. */
  #judgeLevels(room: FakeRoom, { event_id: id, type, content }: FakeEvent, owner: SideName, what: string): void {
    const levels = content[PERSONA_LEVELS];
    if (type !== "m.room.power_levels" || !isJsonObject(levels)) return;
    const at = room.timeline.findIndex((event) => event.event_id === id);
    const before = room.timeline.slice(0, at).findLast((event) => event.type === type)?.content[PERSONA_LEVELS];
    for (const [tenant, given] of Object.entries(levels)) {
      if (tenant === owner) continue;
      expect(given, `${tenant}'s levels are set: ${what}`).toEqual(isJsonObject(before) ? before[tenant] : undefined);
    }
  }
}

/** Of what the pseudouser keeps at the homeserver: the host's account data, and what says that an alias is the host's. */
function isHosts(key: string, value: string): boolean {
  return key.includes(":host:") || value.includes(CANARY) || (key.includes("alias:") && !key.includes(":raider:"));
}

function replacedBy({ content }: FakeEvent): string | null {
  const relation = content["m.relates_to"];
  return isJsonObject(relation) && relation["rel_type"] === "m.replace" ? stringAt(relation, "event_id") : null;
}

/** The marks of an event say whose it is, wherever software looks for them, and never that it is another's. */
function judgeMarks(content: JsonObject, owner: SideName, what: string): void {
  const places: readonly (JsonValue | undefined)[] = [content, content["m.new_content"]];
  for (const place of places.filter((each) => isJsonObject(each))) {
    expect([undefined, owner], `a mark of another's: ${what}`).toContain(place[OWNER]);
    const persona = place[PERSONA];
    const isOwn = persona === undefined || (typeof persona === "string" && persona.startsWith(`@_${owner}_`));
    expect(isOwn, `a persona of another's: ${what}`).toBe(true);
    for (const profile of [place[PROFILE], place["m.per_message_profile"]]) {
      if (!isJsonObject(profile) || owner === "host") continue;
      expect([undefined, owner], `a profile's mark of another's: ${what}`).toContain(profile[OWNER]);
      expect(HOSTS_USER.test(stringAt(profile, "id") ?? ""), `a profile of the host's persona: ${what}`).toBe(false);
    }
  }
  const creators = content["additional_creators"];
  const names = Array.isArray(creators) ? creators.filter((user) => typeof user === "string") : [];
  expect(
    names.filter((user) => TENANTS_USER.test(user)),
    `tenants' users as creators: ${what}`,
  ).toEqual([]);
}
