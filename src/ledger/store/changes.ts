import type { Database } from "better-sqlite3";
import type { LedgerChange, RoomField } from "../fold.ts";
import type { LedgerFollower } from "../follower.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Membership } from "../../model/membership.ts";
import { Store } from "../../storage/store.ts";
import { becauseOf, redactedField } from "../redaction.ts";
import type { Redactions } from "./redactions.ts";
import type { RoomNumbers } from "./room-numbers.ts";
import { Stays } from "./stays.ts";

type Change<Kind> = Extract<LedgerChange, { kind: Kind }>;

export interface LoadTicket {
  readonly roomId: RoomId;
  readonly generation: number;
  /** The newest journal number when the load began. */
  readonly fromSeq: number;
  /** How often the load had been requested. A higher number at the end means that a gap was found meanwhile. */
  readonly asks: number;
  /** True if the room had been loaded before. Any difference is then one between us and the homeserver. */
  readonly again: boolean;
}

interface RoomRow {
  nr: number;
  load: string;
  load_generation: number;
  own_membership: Membership | null;
  own_event: string | null;
}

interface Held {
  event_id: string;
  seq: number;
  generation: number;
}

interface Source {
  readonly seq: number;
  readonly now: number;
  /** The load that found them; null for events. */
  readonly load: LoadTicket | null;
  /** True if they are answers of the homeserver, to a load or a query, and no transaction has brought them yet. */
  readonly isAnswer: boolean;
  readonly heard: Set<number>;
  /** Rooms whose tombstone differs from the one in the ledger. */
  readonly replaced: Set<RoomId>;
  /** Rooms whose events did not follow on what we hold. */
  readonly gaps: Set<RoomId>;
}

/** Pause before a load that just ended is repeated for a gap: several gaps arrive together. */
const GAP_DELAY_MS = 2_000;

/** Writes all changes of the ledger and calls the followers. Call its methods inside a transaction. */
export class ChangeWriter extends Store {
  readonly #rooms: RoomNumbers;
  readonly #redactions: Redactions;
  readonly #followers: LedgerFollower[] = [];
  readonly #stays = new Stays(this.db, this.#followers);
  readonly #stateOf = this.sql<[number, string], { field: RoomField; value: string | null }>(`
    SELECT field, value FROM room_state WHERE room_nr = ? AND event_id = ?`);
  // With a new number, so that a load that began earlier does not bring the old value back.
  readonly #setValue = this.sql<[string | null, number, number, string]>(`
    UPDATE room_state SET value = ?, seq = ? WHERE room_nr = ? AND field = ?`);
  readonly #unname = this.sql<[number, number, string]>(`
    UPDATE members SET displayname = NULL, avatar_url = NULL, seq = ?
    WHERE room_nr = ? AND event_id IN (SELECT value FROM json_each(?))`);
  readonly #unreason = this.sql<[number, string]>("UPDATE rooms SET own_reason = NULL WHERE nr = ? AND own_event = ?");
  readonly #room = this.sql<[string], RoomRow>(`
    SELECT nr, load, load_generation, own_membership, own_event FROM rooms WHERE room_id = ?`);
  readonly #member = this.sql<[number, string], Held & { membership: string }>(`
    SELECT membership, event_id, seq, generation FROM members WHERE room_nr = ? AND user_id = ?`);
  // No upsert: most writes are updates, and an update does not check again whether the room exists.
  readonly #addMember = this.sql<unknown[]>(`
    INSERT INTO members
      (membership, event_id, sender, displayname, avatar_url, seq, generation, room_nr, user_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  readonly #setMember = this.sql<unknown[]>(`
    UPDATE members
    SET membership = ?, event_id = ?, sender = ?, displayname = ?, avatar_url = ?, seq = ?, generation = ?
    WHERE room_nr = ? AND user_id = ?`);
  readonly #state = this.sql<[number, string], Held & { value: string | null }>(`
    SELECT event_id, value, seq, generation FROM room_state WHERE room_nr = ? AND field = ?`);
  readonly #putState = this.sql<unknown[]>(`
    INSERT OR REPLACE INTO room_state (room_nr, field, value, event_id, seq, generation) VALUES (?, ?, ?, ?, ?, ?)`);
  readonly #count = this.sql<[number, number]>("UPDATE rooms SET joined_members = joined_members + ? WHERE nr = ?");
  readonly #absent = this.sql<[number, string | null]>(`
    UPDATE members SET membership = 'leave', generation = (SELECT load_generation FROM rooms WHERE nr = room_nr)
    WHERE room_nr = ? AND event_id = ? AND membership = 'join'`);
  /** Rooms as they are in the transaction under way: a batch often has many events of one room. Cleared by each call. */
  readonly #seen = new Map<RoomId, RoomRow>();

  constructor(db: Database, rooms: RoomNumbers, redactions: Redactions) {
    super(db);
    this.#rooms = rooms;
    this.#redactions = redactions;
  }

  /** Registers a follower, which acts on facts in the commits that write them. */
  follow(follower: LedgerFollower): void {
    this.#followers.push(follower);
  }

  /**
   * Writes the changes of events.
   * @param isAnswer true if they are the homeserver's answer, and no transaction brought them
   * @returns the rooms whose events did not follow on what we hold; they are marked to be loaded again
   */
  apply(changes: readonly LedgerChange[], seq: number, now: number, isAnswer = false): readonly RoomId[] {
    const source = sourceOf({ seq, now, load: null, isAnswer });
    this.#write(changes, source);
    return [...source.gaps];
  }

  /**
   * Writes what a load found, except for values set since it began.
   * @returns how many rows differed or were missing
   */
  applyLoaded(changes: readonly LedgerChange[], load: LoadTicket, now: number): number {
    return this.#write(changes, sourceOf({ seq: load.fromSeq, now, load, isAnswer: true }));
  }

  /** Writes that the pseudouser is not in this room, if the homeserver gives no event that tells why. */
  applyAbsence(roomId: RoomId, now: number): void {
    this.#seen.clear();
    const room = this.#roomOf(roomId);
    if (room.own_membership !== "join") return;
    const { nr } = room;
    // Gets a new number like an event: the answer of a load under way is older.
    if (this.#absent.run(nr, room.own_event).changes > 0) this.#count.run(-1, nr);
    const nothing = { eventId: null, sender: null, reason: null, claims: null, ends: null };
    this.#stays.changed({ nr, roomId }, { ...nothing, was: "join", membership: "leave" }, { seq: 0, now });
  }

  /**
   * Calls the followers after a load.
   * @param isNew whether the room was never loaded before, or differed from the ledger
   */
  loaded(nr: number, roomId: RoomId, isNew: boolean, now: number): void {
    for (const follower of this.#followers) follower.loaded?.({ nr, roomId }, isNew, now);
  }

  /** @returns how many changes were news */
  #write(changes: readonly LedgerChange[], source: Source): number {
    this.#seen.clear();
    let news = 0;
    const redacted = new Map<number, EventId[]>();
    for (const given of changes) {
      const change = this.#redactions.applied(given);
      if (change.kind === "member") news += Number(this.#applyMember(change, source));
      else if (change.kind === "state") news += Number(this.#applyState(change, source));
      else if (change.kind === "redaction") this.#redact(change, redacted, source);
      else if (source.replaced.has(change.roomId)) this.#replaced(change, source.now);
    }
    // Finding a member by event ID goes through the room's members: once for all redactions of a transaction.
    for (const [nr, targets] of redacted) this.#unname.run(source.seq, nr, JSON.stringify(targets));
    // Once, and not for each of a hundred thousand members.
    for (const nr of source.heard) this.#rooms.hear(nr, source.now);
    return news;
  }

  /** @param found the redacted events, by their rooms */
  #redact({ roomId, redaction }: Change<"redaction">, found: Map<number, EventId[]>, { seq, now }: Source): void {
    const target = this.#redactions.targetOf(redaction);
    if (target === null) return;
    this.#redactions.add(roomId, target, seq, becauseOf(redaction, target));
    const nr = this.#rooms.find(roomId);
    if (nr === null) return;
    found.set(nr, [...(found.get(nr) ?? []), target]);
    this.#unreason.run(nr, target);
    for (const { field, value } of this.#stateOf.all(nr, target)) {
      const left = redactedField(field, value, this.#redactions.versionOf(roomId));
      this.#setValue.run(left, seq, nr, field);
      if (left !== value) this.#tellState(nr, roomId, field, now);
    }
  }

  /** Requests a load of the room: an event arrived that does not tell the present state. */
  reload(roomId: RoomId, now: number): void {
    const nr = this.#rooms.find(roomId);
    if (nr !== null && this.#room.get(roomId)?.own_membership === "join") this.#stays.ask(nr, now);
  }

  #tellState(nr: number, roomId: RoomId, field: RoomField, now: number): void {
    for (const follower of this.#followers) follower.state?.({ nr, roomId }, field, now);
  }

  #replaced({ roomId, replacement, via }: Change<"upgrade">, now: number): void {
    const nr = this.#rooms.find(roomId);
    if (nr === null) return;
    for (const follower of this.#followers) follower.replaced?.({ nr, roomId }, replacement, via, now);
  }

  /** Returns true if it differed before. */
  #applyMember(change: Change<"member">, source: Source): boolean {
    const { member, replaces, own, ends, reason, claims } = change;
    const { roomId, userId, membership, eventId, sender, displayname, avatarUrl } = member;
    const { seq, now, load } = source;
    const room = this.#roomOf(roomId);
    const { nr } = room;
    const before = this.#member.get(nr, userId);
    const isNews = (own ? room.own_event : before?.event_id) !== eventId;
    if (load === null ? !isNews : isSetSince(load, before)) return false;
    if (own && isNews && !this.#stays.isNews(nr, eventId, source.isAnswer)) return false;
    const generation = load?.generation ?? room.load_generation;
    const put = before === undefined ? this.#addMember : this.#setMember;
    put.run(membership, eventId, sender, displayname, avatarUrl, seq, generation, nr, userId);
    if (!isNews) return false;
    source.heard.add(nr);
    const delta = Number(membership === "join") - Number(before?.membership === "join");
    // At its end a load counts all members.
    if (delta !== 0 && load === null) this.#count.run(delta, nr);
    if (own) {
      this.#seen.delete(roomId);
      const was = room.own_membership;
      this.#stays.changed({ nr, roomId }, { was, membership, eventId, sender, ends, reason, claims }, source);
      if (membership !== "join") return true;
    } else if (isThere(membership) !== isThere(before?.membership) && !isFirst(load)) {
      for (const follower of this.#followers) follower.people?.({ nr, roomId }, now);
    }
    this.#noteGap(roomId, room, before?.event_id, replaces, source);
    return true;
  }

  /** Returns true if it differed before. */
  #applyState({ roomId, field, value, eventId, replaces }: Change<"state">, source: Source): boolean {
    const { seq, now, load } = source;
    const room = this.#roomOf(roomId);
    const { nr } = room;
    const before = this.#state.get(nr, field);
    const isNews = before?.event_id !== eventId;
    if (load === null ? !isNews : isSetSince(load, before)) return false;
    this.#putState.run(nr, field, value, eventId, seq, load?.generation ?? room.load_generation);
    if (before?.value !== value && !isFirst(load)) this.#tellState(nr, roomId, field, now);
    if (!isNews) return false;
    source.heard.add(nr);
    if (field === "replacement") source.replaced.add(roomId);
    this.#noteGap(roomId, room, before?.event_id, replaces, source);
    return true;
  }

  /**
   * Detects gaps. An event names the one that it replaced where it was created (unsigned.replaces_state). If we hold
   * another, an event is missing here, or state resolution chose otherwise after a fork: the room is loaded again.
   * During a load, missing values may be on their way, so only a different value counts. A load itself finds no gap.
   */
  #noteGap(roomId: RoomId, room: RoomRow, held: string | undefined, replaces: string | null, source: Source): void {
    if (source.load !== null || replaces === null || replaces === held) return;
    const loading = room.load === "wanted" && held !== undefined;
    if (room.load !== "loaded" && !loading) return;
    this.#seen.delete(roomId);
    this.#stays.ask(room.nr, source.now + GAP_DELAY_MS);
    source.gaps.add(roomId);
  }

  /** Returns or creates the room's row. A caller that changes these columns must remove it from `#seen`. */
  #roomOf(roomId: RoomId): RoomRow {
    let row = this.#seen.get(roomId) ?? this.#room.get(roomId);
    if (row === undefined) {
      this.#rooms.take(roomId);
      row = this.#room.get(roomId);
    }
    if (row === undefined) throw new Error(`the room ${roomId} was given a number and has no row`);
    this.#seen.set(roomId, row);
    return row;
  }
}

function sourceOf(how: Omit<Source, "heard" | "replaced" | "gaps">): Source {
  return { ...how, heard: new Set(), replaced: new Set(), gaps: new Set() };
}

function isThere(membership: string | undefined): boolean {
  return membership === "join" || membership === "invite";
}

/** Returns whether a row was set since the load began: it is then newer than what the load found. */
function isSetSince({ fromSeq, generation }: LoadTicket, held: Held | undefined): boolean {
  return held !== undefined && (held.seq > fromSeq || held.generation >= generation);
}

/** Returns whether it is the first load of a room: followers then hear of its end only, not of each fact it finds. */
function isFirst(load: LoadTicket | null): boolean {
  return load !== null && !load.again;
}
