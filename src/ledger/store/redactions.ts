import type { LedgerChange } from "../fold.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import { parsedObject, written, type JsonObject } from "../../model/json.ts";
import { revisionOf, sourcedList } from "../../model/json-text.ts";
import { Store } from "../../storage/store.ts";
import { pruned, redactedBy, redactedField, replacedBy, withoutPrevious } from "../redaction.ts";

/** Redactions that one sweep through the journal serves; rows that one of its commits looks at. */
const TARGETS = 500;
const ROWS = 200;

/** What one small step removed from the journal. */
export interface Pruned {
  /** The rewritten rows, and by how many bytes each shrank. */
  readonly rows: readonly { readonly firstSeq: number; readonly by: number }[];
  /** True if the next step should follow soon. */
  readonly isMore: boolean;
}

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
 * The redactions received. Events cannot be found by ID, so readers get them without redacted content, and a sweep from
 * the journal's newest row to its oldest removes that content from storage.
 */
export class Redactions extends Store {
  readonly #add = this.sql<[string, string, number, string]>(`
    INSERT OR IGNORE INTO redactions (target, room_id, seq, because) VALUES (?, ?, ?, ?)`);
  readonly #any = this.value<[], number>("SELECT 1 FROM redactions LIMIT 1");
  readonly #isRedacted = this.value<[string, string], number>(`
    SELECT 1 FROM redactions WHERE target = ? AND room_id = ?`);
  readonly #of = this.sql<[string], Open & { because: string }>(`
    SELECT target, room_id, because FROM redactions WHERE target IN (SELECT value FROM json_each(?))`);
  readonly #version = this.value<[string], string | null>(`
    SELECT s.value FROM rooms r JOIN room_state s ON s.room_nr = r.nr AND s.field = 'version' WHERE r.room_id = ?`);
  readonly #open = this.sql<[number], Open>(`
    SELECT target, room_id FROM redactions WHERE is_done = 0 ORDER BY seq LIMIT ?`);
  readonly #rows = this.sql<[number, number], { firstSeq: number; event_ids: string; tellsPrevious: number }>(`
    SELECT first_seq AS firstSeq, event_ids, instr(body, CAST('"prev_content"' AS BLOB)) > 0 AS tellsPrevious
    FROM journal WHERE first_seq < ? ORDER BY first_seq DESC LIMIT ?`);
  readonly #body = this.value<[number], Buffer>("SELECT body FROM journal WHERE first_seq = ?");
  readonly #rewrite = this.sql<[string, number]>("UPDATE journal SET body = CAST(? AS BLOB) WHERE first_seq = ?");
  readonly #reopen = this.sql<[string]>(`
    UPDATE redactions SET is_done = 0 WHERE is_done = 1 AND target IN (SELECT value FROM json_each(?))`);
  readonly #done = this.sql<[string, string]>("UPDATE redactions SET is_done = 1 WHERE target = ? AND room_id = ?");
  #sweep: Sweep | null = null;

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
      if (this.#isRedacted.get(eventId, roomId) === undefined) return change;
      return { ...change, member: { ...change.member, displayname: null, avatarUrl: null }, reason: null };
    }
    if (change.kind !== "state") return change;
    if (this.#isRedacted.get(change.eventId, change.roomId) === undefined) return change;
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
    const redactions = this.#of.all(JSON.stringify([...asked]));
    const found = new Map(redactions.map(({ target, room_id, because }) => [`${target} ${room_id}`, because]));
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

  /** Removes redacted content from some rows, in one commit. Readers stopped getting it with its redaction. */
  async pruneSome(): Promise<Pruned> {
    return this.commit(() => this.#pruneNow());
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
    const json = body.toString("utf8");
    const row = JSON.parse(json) as { readonly events: readonly RoomEvent[] };
    sourcedList(row, json, "events");
    const { events } = row;
    const left = this.without(events);
    if (left.every((event, index) => event === events[index])) return null;
    const text = written({ events: left });
    this.#rewrite.run(text, firstSeq);
    return body.length - Buffer.byteLength(text);
  }
}
