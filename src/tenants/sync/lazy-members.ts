import { EmissaryError } from "../../model/errors.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import { parsedObject, stringAt } from "../../model/json.ts";
import { sourced } from "../../model/json-text.ts";
import type { Member } from "../../model/membership.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { Upstream } from "../../http/upstream.ts";

/** Memberships that are remembered, none of them larger than so many characters; and senders of one room that are looked for. */
const KEPT = 2_000;
const MAX_KEPT_SIZE = 4_096;
const MAX_SENDERS = 100;
const AT_ONCE = 4;

/**
 * The membership events of those who speak, for clients that load members as they need them (spec, CS API, "Lazy-loading room members").
 * Each is told again with whatever its sender says: which of a tenant's processes was told of it, and had the answer, is not known.
 */
export class LazyMembers {
  readonly #ledger: Pick<Ledger, "member">;
  readonly #upstream: Pick<Upstream, "answer">;
  readonly #known = new Map<EventId, RoomEvent>();

  constructor(ledger: Pick<Ledger, "member">, upstream: Pick<Upstream, "answer">) {
    this.#ledger = ledger;
    this.#upstream = upstream;
  }

  /** Those that are to be had: a client that lacks one shows the user's ID. */
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
    // A redaction takes the profile away, in the ledger too.
    const isSame =
      known !== undefined && nameIn(known, "displayname") === displayname && nameIn(known, "avatar_url") === avatarUrl;
    if (isSame) return known;
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`;
    try {
      const { status, body } = await this.#upstream.answer("GET", path, null);
      const event: unknown = sourced(parsedObject(body), body.toString("utf8"));
      if (status !== 200 || !isRoomEvent(event)) return null;
      if (body.length <= MAX_KEPT_SIZE) this.#keep(event);
      return event;
    } catch (error) {
      if (error instanceof EmissaryError) return null;
      throw error;
    }
  }

  /** The oldest go first. */
  #keep(event: RoomEvent): void {
    this.#known.set(event.event_id, event);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KEPT) break;
      this.#known.delete(oldest);
    }
  }
}

function nameIn({ content }: RoomEvent, key: "displayname" | "avatar_url"): string | null {
  return stringAt(content, key);
}
