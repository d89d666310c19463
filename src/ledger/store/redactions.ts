import type { Database, Statement } from "better-sqlite3";
import type { LedgerChange } from "../fold.ts";
import type { Pruned, PruneStore } from "../cleaning.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import { parsedObject, written, type JsonObject } from "../../model/json.ts";
import { revisionOf, sourcedList } from "../../model/json-text.ts";
import { pruned, redactedBy, redactedField, replacedBy, withoutPrevious } from "../redaction.ts";

/** Redactions that one sweep through the journal serves; rows that one of its commits looks at. */
const TARGETS = 500;
const ROWS = 200;

interface Open {
  readonly target: EventId;
  readonly room_id: RoomId;
}

interface Sweep {
  readonly open: readonly Open[];
  readonly targets: ReadonlySet<string>;
  /** Rows that begin before this remain to be searched. */
  readonly below: number;
}

/**
 * The redactions received. No stored event can be found by its ID. So a redaction is written down, and its target's
 * content is removed from everything that is read. A sweep from the journal's newest row to its oldest removes it from
 * storage.
 */
export class Redactions implements PruneStore {
  readonly #db: Database;
  readonly #add: Statement<[string, string, number, string]>;
  readonly #any: Statement<[], number>;
  readonly #because: Statement<[string, string], string>;
  readonly #of: Statement<[string], { target: string; room_id: string; because: string }>;
  readonly #version: Statement<[string], string | null>;
  readonly #open: Statement<[number], Open>;
  readonly #rows: Statement<[number, number], { firstSeq: number; event_ids: string; tellsPrevious: number }>;
  readonly #body: Statement<[number], Buffer>;
  readonly #rewrite: Statement<[string, number]>;
  readonly #done: Statement<[string, string]>;
  readonly #reopen: Statement<[string]>;
  #sweep: Sweep | null = null;

  constructor(db: Database) {
    this.#db = db;
    this.#add = db.prepare("INSERT OR IGNORE INTO redactions (target, room_id, seq, because) VALUES (?, ?, ?, ?)");
    this.#any = db.prepare<[], number>("SELECT 1 FROM redactions LIMIT 1").pluck();
    this.#because = db
      .prepare<[string, string], string>("SELECT because FROM redactions WHERE target = ? AND room_id = ?")
      .pluck();
    this.#of = db.prepare(
      "SELECT target, room_id, because FROM redactions WHERE target IN (SELECT value FROM json_each(?))",
    );
    this.#version = db
      .prepare<[string], string | null>(
        "SELECT s.value FROM rooms r JOIN room_state s ON s.room_nr = r.nr AND s.field = 'version' WHERE r.room_id = ?",
      )
      .pluck();
    this.#open = db.prepare("SELECT target, room_id FROM redactions WHERE is_done = 0 ORDER BY seq LIMIT ?");
    this.#rows = db.prepare(
      "SELECT first_seq AS firstSeq, event_ids, instr(body, CAST('\"prev_content\"' AS BLOB)) > 0 AS tellsPrevious " +
        "FROM journal WHERE first_seq < ? ORDER BY first_seq DESC LIMIT ?",
    );
    this.#body = db.prepare<[number], Buffer>("SELECT body FROM journal WHERE first_seq = ?").pluck();
    this.#rewrite = db.prepare("UPDATE journal SET body = CAST(? AS BLOB) WHERE first_seq = ?");
    this.#reopen = db.prepare(
      "UPDATE redactions SET is_done = 0 WHERE is_done = 1 AND target IN (SELECT value FROM json_each(?))",
    );
    this.#done = db.prepare("UPDATE redactions SET is_done = 1 WHERE target = ? AND room_id = ?");
  }

  /** Returns the ID of a redaction's target, by the rules of its room. */
  targetOf(redaction: RoomEvent): EventId | null {
    return redactedBy(redaction, this.versionOf(redaction.room_id));
  }

  add(roomId: RoomId, target: EventId, seq: number, because: JsonObject): void {
    this.#add.run(target, roomId, seq, written(because));
  }

  /**
   * Handles new events that were redacted before they arrived: their redactions now have a target in the journal.
   * @param ids their IDs, as JSON
   */
  came(ids: string): void {
    this.#reopen.run(ids);
  }

  /** Returns the change as it is if its event was redacted before it arrived. */
  applied<Change extends LedgerChange>(change: Change): Change {
    if (change.kind === "member") {
      const { roomId, eventId } = change.member;
      if (!this.#isRedacted(roomId, eventId)) return change;
      return { ...change, member: { ...change.member, displayname: null, avatarUrl: null }, reason: null };
    }
    if (change.kind !== "state" || !this.#isRedacted(change.roomId, change.eventId)) return change;
    return { ...change, value: redactedField(change.field, change.value, this.versionOf(change.roomId)) };
  }

  versionOf(roomId: RoomId): string | null {
    return this.#version.get(roomId) ?? null;
  }

  /** Returns the events without their redacted content; the same list if nothing was redacted. */
  without(events: readonly RoomEvent[]): readonly RoomEvent[] {
    if (events.length === 0 || this.#any.get() === undefined) return events;
    const asked = new Set<string>();
    for (const event of events) {
      asked.add(event.event_id);
      const replaced = replacedBy(event);
      if (replaced !== null) asked.add(replaced);
    }
    const found = new Map(
      this.#of
        .all(JSON.stringify([...asked]))
        .map(({ target, room_id, because }) => [`${target} ${room_id}`, because] as const),
    );
    if (found.size === 0) return events;
    return events.map((event) => {
      const of = (id: string | null): string | undefined => found.get(`${id} ${event.room_id}`);
      const [own, previous] = [of(event.event_id), of(replacedBy(event))];
      if (own === undefined && previous === undefined) return event;
      const version = this.versionOf(event.room_id);
      const rest = previous === undefined ? event : withoutPrevious(event, version);
      // What is left of it stays as it was written.
      return revisionOf(event, own === undefined ? rest : pruned(rest, version, parsedObject(Buffer.from(own))));
    });
  }

  async pruneSome(): Promise<Pruned> {
    return this.#db.transaction(() => this.#pruneNow()).immediate();
  }

  #pruneNow(): Pruned {
    const sweep = this.#sweep ?? this.#begin();
    if (sweep === null) return { rows: [], isMore: false };
    const rows = this.#rows.all(sweep.below, ROWS);
    const rewritten: { firstSeq: number; by: number }[] = [];
    for (const { firstSeq, event_ids, tellsPrevious } of rows) {
      const ids = JSON.parse(event_ids) as string[];
      if (tellsPrevious === 0 && !ids.some((id) => sweep.targets.has(id))) continue;
      const by = this.#rewriteRow(firstSeq);
      if (by !== null) rewritten.push({ firstSeq, by });
    }
    const last = rows.at(-1);
    const isOver = rows.length < ROWS || last === undefined;
    if (isOver) for (const { target, room_id } of sweep.open) this.#done.run(target, room_id);
    this.#sweep = isOver ? null : { ...sweep, below: last.firstSeq };
    return { rows: rewritten, isMore: true };
  }

  #begin(): Sweep | null {
    const open = this.#open.all(TARGETS);
    if (open.length === 0) return null;
    return { open, targets: new Set(open.map(({ target }) => target)), below: Number.MAX_SAFE_INTEGER };
  }

  /** Returns by how many bytes the row shrank; null if nothing in it was redacted. */
  #rewriteRow(firstSeq: number): number | null {
    const body = this.#body.get(firstSeq);
    if (body === undefined) return null;
    const told = body.toString("utf8");
    const row = JSON.parse(told) as { readonly events: readonly RoomEvent[] };
    sourcedList(row, told, "events");
    const { events } = row;
    const left = this.without(events);
    if (left.every((event, index) => event === events[index])) return null;
    const text = written({ events: left });
    this.#rewrite.run(text, firstSeq);
    return body.length - Buffer.byteLength(text);
  }

  #isRedacted(roomId: RoomId, eventId: EventId): boolean {
    return this.#because.get(eventId, roomId) !== undefined;
  }
}
