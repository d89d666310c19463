import { roomPath } from "../../http/client-paths.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import { parsedObject, stringAt } from "../../model/json.ts";
import { sourced } from "../../model/json-text.ts";
import type { Member } from "../../model/membership.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { remember } from "../../concurrency/remember.ts";
import type { Upstream } from "../../http/upstream.ts";

/** Memberships in the cache, their maximum characters, and the senders that are looked up in one room. */
const KEPT = 2_000;
const MAX_KEPT_SIZE = 4_096;
const MAX_SENDERS = 100;
const AT_ONCE = 4;

/**
 * Membership events of a timeline's senders, for clients that load members lazily (spec, CS API, "Lazy-loading room
 * members"). Sent again with every timeline: which of a tenant's processes has had them is unknown.
 */
export class LazyMembers {
  readonly #ledger: Pick<Ledger, "member">;
  readonly #upstream: Pick<Upstream, "answer">;
  readonly #known = new Map<EventId, RoomEvent>();

  constructor(ledger: Pick<Ledger, "member">, upstream: Pick<Upstream, "answer">) {
    this.#ledger = ledger;
    this.#upstream = upstream;
  }

  /** Returns those that are available. A client that lacks one shows the user's ID. */
  async of(roomId: RoomId, senders: readonly UserId[]): Promise<readonly RoomEvent[]> {
    const left = senders.slice(0, MAX_SENDERS);
    const found: RoomEvent[] = [];
    const next = async (): Promise<void> => {
      for (let user = left.shift(); user !== undefined; user = left.shift()) {
        const member = await this.#ledger.member(roomId, user);
        const event = member === null ? null : await this.#event(member);
        if (event !== null) found.push(event);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    return found;
  }

  async #event({ roomId, eventId, displayname, avatarUrl }: Member): Promise<RoomEvent | null> {
    const known = this.#known.get(eventId);
    // A redaction removes the profile, in the ledger too.
    const { content = {} } = known ?? {};
    const isSame = stringAt(content, "displayname") === displayname && stringAt(content, "avatar_url") === avatarUrl;
    if (known !== undefined && isSame) return known;
    const path = roomPath(roomId, "event", eventId);
    try {
      const { status, body } = await this.#upstream.answer("GET", path, null);
      const event: unknown = sourced(parsedObject(body), body.toString("utf8"));
      if (status !== 200 || !isRoomEvent(event)) return null;
      if (body.length <= MAX_KEPT_SIZE) remember(this.#known, event.event_id, event, KEPT);
      return event;
    } catch (error) {
      if (error instanceof EmissaryError) return null;
      throw error;
    }
  }
}
