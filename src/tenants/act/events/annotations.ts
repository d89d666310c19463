import { hash } from "node:crypto";
import { isSameOwner, ownerIn, type Owner } from "../../../model/attribution.ts";
import type { Clock } from "../../../model/clock.ts";
import type { RoomEvent } from "../../../model/event.ts";
import { isEventId, type EventId, type RoomId, type UserId } from "../../../model/ids.ts";
import { isJsonObject, objectAt, objectsOf, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import type { Sending } from "../checks/repeats.ts";
import { REDACTION } from "../outgoing.ts";
import { redactedBy } from "../../../ledger/redaction.ts";
import type { Ledger } from "../../../ledger/ledger.ts";
import type { Recorder } from "../../../ledger/recorder.ts";
import type { Upstream, WholeAnswer } from "../../../http/upstream.ts";
import type { Annotation, SqliteAnnotationStore } from "../../store/annotations.ts";

/** Shared annotations of one tenant. Beyond that, the tenant gets the homeserver's refusal. */
const MAX_SHARED = 2_000;
/** Page size and page count when searching an event's annotations for ours. */
const PAGE = 100;
const MAX_PAGES = 20;

/** Prefix of the IDs of events that exist in no room. */
const OURS = "$emissary_shared_";

export interface AnnotationParts {
  readonly store: SqliteAnnotationStore;
  readonly recorder: Pick<Recorder, "record">;
  readonly ledger: Pick<Ledger, "room">;
  readonly upstream: Upstream;
  readonly own: UserId;
  readonly clock: Clock;
}

/** An annotation that shares the homeserver's event with others. */
export interface Shared extends Omit<Annotation, "owner"> {
  readonly owner: Owner | null;
  readonly others: number;
}

/** An annotation that the homeserver refused as a duplicate. */
export interface Doubled extends Sending {
  readonly roomId: RoomId;
  readonly type: string;
  readonly content: JsonObject;
}

/**
 * Annotations of several users with a single sender. A homeserver lets each sender annotate an event only once in one
 * way (spec, "Avoiding duplicate annotations"). So the second user's annotation is an event of ours, which exists
 * only here and which tenants get like any other. The homeserver's event is redacted with the last user's annotation.
 */
export class SharedAnnotations {
  readonly #parts: AnnotationParts;

  constructor(parts: AnnotationParts) {
    this.#parts = parts;
  }

  /**
   * Returns our event for an annotation; null if it is the user's second, the tenant's limit is reached, or the
   * homeserver's event is not a tenant's.
   */
  async double({ roomId, type, content, owner, txnId }: Doubled): Promise<EventId | null> {
    const { store } = this.#parts;
    const real = await this.#real(roomId, type, content);
    if (real === null) return null;
    const known = await store.group(real.realId);
    const group = known.length > 0 ? known : [real];
    const eventId = `${OURS}${hash("sha256", txnId, "base64url")}` as EventId;
    const mine = group.find((one) => isSameOwner(one.owner, owner));
    if (mine !== undefined && mine.eventId !== eventId) return null;
    if (mine === undefined && (await store.countOf(owner.tenant)) >= MAX_SHARED) return null;
    await store.add([...group, { eventId, realId: real.realId, roomId, owner }]);
    // After the row, so that a repeated request finds it. The journal ignores events that it already has.
    await this.#record(eventId, roomId, type, content);
    return eventId;
  }

  /**
   * Returns the shared annotation that an event is; null if it is not shared. The owner is null if the owner of the
   * homeserver's event took its own annotation back and the event remains for the others.
   */
  async find(roomId: RoomId, eventId: string): Promise<Shared | null> {
    const { store } = this.#parts;
    const found = await store.find(eventId);
    if (found !== null) {
      const others = (await store.group(found.realId)).length - 1;
      return found.roomId === roomId ? { ...found, others } : null;
    }
    const [other] = await store.group(eventId);
    return other?.roomId === roomId ? { ...other, eventId: other.realId, owner: null, others: 1 } : null;
  }

  /** Takes a shared annotation back and tells tenants by an event of ours. */
  async takeBack({ eventId, realId, roomId }: Omit<Shared, "owner" | "others">, content: JsonObject): Promise<EventId> {
    const redactionId = await this.#redacted(roomId, eventId, content, realId);
    await this.#parts.store.remove(eventId);
    return redactionId;
  }

  /** When somebody else redacts the homeserver's event, takes back all annotations that share it. */
  async heard(events: readonly RoomEvent[]): Promise<void> {
    const { store, ledger } = this.#parts;
    for (const event of events) {
      if (event.type !== REDACTION || event.event_id.startsWith(OURS)) continue;
      const redacts = redactedBy(event, (await ledger.room(event.room_id))?.version ?? null);
      for (const one of redacts === null ? [] : await store.group(redacts)) {
        // A redaction has no effect in another room.
        if (one.roomId !== event.room_id) continue;
        if (one.eventId === redacts) await store.remove(redacts);
        else await this.takeBack(one, {});
      }
    }
  }

  /** Records our redaction. The last user of the homeserver's event needs none: the real one tells its end. */
  async #redacted(roomId: RoomId, eventId: EventId, content: JsonObject, realId: EventId): Promise<EventId> {
    const redactionId = `${OURS}${hash("sha256", `redacts ${eventId}`, "base64url")}` as EventId;
    if (eventId === realId && (await this.#parts.store.group(realId)).length <= 1) return redactionId;
    await this.#record(redactionId, roomId, REDACTION, { ...content, redacts: eventId }, { redacts: eventId });
    return redactionId;
  }

  /** Writes an event of ours to the journal, which feeds all tenants. */
  async #record(eventId: EventId, roomId: RoomId, type: string, content: JsonObject, more: Partial<RoomEvent> = {}) {
    const { own, clock, recorder } = this.#parts;
    const event = { event_id: eventId, room_id: roomId, type, sender: own, content, unsigned: {}, ...more };
    const events = [{ ...event, origin_server_ts: clock.now() }];
    await recorder.record({ txnId: eventId, digest: eventId, events, setAside: [], verbatim: null });
  }

  /** Returns the homeserver's event with the same annotation, and its owner. */
  async #real(roomId: RoomId, type: string, content: JsonObject): Promise<Annotation | null> {
    const relation = objectAt(content, "m.relates_to");
    const target = stringAt(relation, "event_id");
    if (target === null) return null;
    const path = [roomId, "relations", target, "m.annotation", type].map(encodeURIComponent).join("/");
    let from: string | null = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query: string = from === null ? "" : `&from=${encodeURIComponent(from)}`;
      const url = `/_matrix/client/v1/rooms/${path}?limit=${PAGE}${query}`;
      const answer: WholeAnswer = await this.#parts.upstream.answer("GET", url, null, PAGE * 128 * 1024);
      const body = parsedObject(answer.body);
      for (const event of objectsOf(body["chunk"])) {
        const found = this.#ours(roomId, event, relation["key"]);
        if (found !== null) return found;
      }
      from = stringAt(body, "next_batch");
      if (answer.status !== 200 || from === null) break;
    }
    return null;
  }

  #ours(roomId: RoomId, event: JsonObject, key: unknown): Annotation | null {
    const { sender, event_id: eventId } = event;
    if (sender !== this.#parts.own || typeof eventId !== "string" || !isEventId(eventId)) return null;
    const content = objectAt(event, "content");
    const [owner, relation] = [ownerIn(content), content["m.relates_to"]];
    if (owner === null || !isJsonObject(relation) || relation["key"] !== key) return null;
    return { eventId, realId: eventId, roomId, owner };
  }
}

/** Whether the homeserver refuses an annotation because its sender has it already. */
export function isDoubled({ status, body }: WholeAnswer): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_DUPLICATE_ANNOTATION";
}
