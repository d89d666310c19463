import { hash } from "node:crypto";
import { isSameOwner, ownerIn, type Owner } from "../../../model/attribution.ts";
import type { Clock } from "../../../model/clock.ts";
import type { RoomEvent } from "../../../model/event.ts";
import { isEventId, type EventId, type RoomId, type UserId } from "../../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { REDACTION } from "../outgoing.ts";
import { redactedBy } from "../../../ledger/redaction.ts";
import type { Ledger } from "../../../ledger/ledger.ts";
import type { Recorder } from "../../../ledger/recorder.ts";
import type { Upstream, WholeAnswer } from "../../../http/upstream.ts";
import type { Annotation, AnnotationStore } from "../contracts.ts";

/** Of one tenant. Beyond that the homeserver's refusal is the tenant's. */
const MAX_SHARED = 2_000;
/** Annotations of an event that are looked through for ours. */
const PAGE = 100;
const MAX_PAGES = 20;

/** What the IDs of events begin with that are in no room. */
const OURS = "$emissary_shared_";

export interface AnnotationParts {
  readonly store: AnnotationStore;
  readonly recorder: Pick<Recorder, "record">;
  readonly ledger: Pick<Ledger, "room">;
  readonly upstream: Upstream;
  readonly own: UserId;
  readonly clock: Clock;
}

/** An annotation that is one with others. */
export interface Shared extends Omit<Annotation, "owner"> {
  readonly owner: Owner | null;
  readonly others: number;
}

/** An annotation that the homeserver did not take. */
export interface Doubled {
  readonly roomId: RoomId;
  readonly type: string;
  readonly content: JsonObject;
  readonly owner: Owner;
  /** By it a repetition is the same event. */
  readonly txnId: string;
}

/**
 * Annotations of several users with one sender for all. A homeserver lets each sender annotate an event once in one way (spec, "Avoiding
 * duplicate annotations"), so the second user's is no event there: it has one of ours, which tenants get as they get others. What is there
 * is taken back with the last user's.
 */
export class SharedAnnotations {
  readonly #parts: AnnotationParts;

  constructor(parts: AnnotationParts) {
    this.#parts = parts;
  }

  /** The event of ours that a user's annotation is; null where it is the user's second, too many, or of no other user. */
  async double({ roomId, type, content, owner, txnId }: Doubled): Promise<EventId | null> {
    const { store, own, clock } = this.#parts;
    const real = await this.#real(roomId, type, content);
    if (real === null) return null;
    const known = await store.group(real.realId);
    const group = known.length > 0 ? known : [real];
    const eventId = `${OURS}${hash("sha256", txnId, "base64url")}` as EventId;
    const mine = group.find((one) => isSameOwner(one.owner, owner));
    if (mine !== undefined && mine.eventId !== eventId) return null;
    if (mine === undefined && (await store.countOf(owner.tenant)) >= MAX_SHARED) return null;
    await store.add([...group, { eventId, realId: real.realId, roomId, owner }]);
    // After the row: a repetition finds it, and the journal knows events that it has.
    await this.#record({
      event_id: eventId,
      room_id: roomId,
      type,
      sender: own,
      origin_server_ts: clock.now(),
      content,
      unsigned: {},
    });
    return eventId;
  }

  /**
   * The annotation that an event is, where others are the same at the homeserver; null for one that is alone. The owner is null where the
   * homeserver's own was taken back, and stays for the others.
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

  /** It is taken back: tenants are told by an event of ours. */
  async takeBack({ eventId, realId, roomId }: Omit<Shared, "owner" | "others">, content: JsonObject): Promise<EventId> {
    const redactionId = await this.#redacted(roomId, eventId, content, realId);
    await this.#parts.store.remove(eventId);
    return redactionId;
  }

  /** Where the homeserver's event is taken back by somebody else, all that are the same are taken back. */
  async heard(events: readonly RoomEvent[]): Promise<void> {
    const { store, ledger } = this.#parts;
    for (const event of events) {
      if (event.type !== REDACTION || event.event_id.startsWith(OURS)) continue;
      const redacts = redactedBy(event, (await ledger.room(event.room_id))?.version ?? null);
      for (const one of redacts === null ? [] : await store.group(redacts)) {
        // A redaction has no say in another room.
        if (one.roomId !== event.room_id) continue;
        if (one.eventId === redacts) await store.remove(redacts);
        else await this.takeBack(one, {});
      }
    }
  }

  /** Nothing is made of the homeserver's own event: while others stand for the same it stays, and its own redaction tells of its end. */
  async #redacted(roomId: RoomId, eventId: EventId, content: JsonObject, realId: EventId): Promise<EventId> {
    const { own, clock, store } = this.#parts;
    const redactionId = `${OURS}${hash("sha256", `redacts ${eventId}`, "base64url")}` as EventId;
    if (eventId === realId && (await store.group(realId)).length <= 1) return redactionId;
    await this.#record({
      event_id: redactionId,
      room_id: roomId,
      type: REDACTION,
      sender: own,
      origin_server_ts: clock.now(),
      redacts: eventId,
      content: { ...content, redacts: eventId },
      unsigned: {},
    });
    return redactionId;
  }

  /** Into the journal, from which all tenants are told. */
  async #record(event: RoomEvent): Promise<void> {
    const txnId = event.event_id;
    await this.#parts.recorder.record({ txnId, digest: txnId, events: [event], setAside: [], verbatim: null });
  }

  /** The homeserver's event that annotates the same in the same way, and whose it is. */
  async #real(roomId: RoomId, type: string, content: JsonObject): Promise<Annotation | null> {
    const relation = content["m.relates_to"];
    const target = isJsonObject(relation) ? stringAt(relation, "event_id") : null;
    if (!isJsonObject(relation) || target === null) return null;
    const path = [roomId, "relations", target, "m.annotation", type].map(encodeURIComponent).join("/");
    let from: string | null = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query: string = from === null ? "" : `&from=${encodeURIComponent(from)}`;
      const answer: WholeAnswer = await this.#parts.upstream.answer(
        "GET",
        `/_matrix/client/v1/rooms/${path}?limit=${PAGE}${query}`,
        null,
        PAGE * 128 * 1024,
      );
      const body = parsedObject(answer.body);
      const chunk = Array.isArray(body["chunk"]) ? body["chunk"] : [];
      for (const event of chunk) {
        const found = isJsonObject(event) ? this.#ours(roomId, event, relation["key"]) : null;
        if (found !== null) return found;
      }
      from = stringAt(body, "next_batch");
      if (answer.status !== 200 || from === null) break;
    }
    return null;
  }

  #ours(roomId: RoomId, event: JsonObject, key: unknown): Annotation | null {
    const { sender, content, event_id: eventId } = event;
    if (sender !== this.#parts.own || !isJsonObject(content) || typeof eventId !== "string") return null;
    const relation = content["m.relates_to"];
    const owner = ownerIn(content);
    if (owner === null || !isEventId(eventId) || !isJsonObject(relation) || relation["key"] !== key) return null;
    return { eventId, realId: eventId, roomId, owner };
  }
}

/** Whether the homeserver refuses an annotation because its sender has it already. */
export function isDoubled({ status, body }: WholeAnswer): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_DUPLICATE_ANNOTATION";
}
