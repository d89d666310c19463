import type { Clock } from "../../../model/clock.ts";
import type { RoomId, TenantId, UserId } from "../../../model/ids.ts";

/** Synapse's longest and default typing timeout, milliseconds. */
const LONGEST_MS = 120_000;
const USUAL_MS = 30_000;
/** Maximum typing users of one tenant in one room; the one that ends first is dropped. */
const MAX_TYPING = 100;

/** What the room is to see. */
export interface Typing {
  readonly typing: boolean;
  readonly timeout: number;
}

interface Typist {
  readonly tenant: TenantId;
  /** When the user stops typing. */
  readonly until: number;
}

/** Tracks typing users of all tenants: the pseudouser types in a room while any of them does. A restart loses this. */
export class Typists {
  readonly #clock: Clock;
  /** By room, then by tenant and user. */
  readonly #rooms = new Map<RoomId, Map<string, Typist>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a user types, or stopped. @returns null if nobody else types, so the request can pass unchanged */
  note(
    roomId: RoomId,
    tenant: TenantId,
    user: UserId,
    { typing, timeout }: { readonly typing: boolean; readonly timeout: number | null },
  ): Typing | null {
    const now = this.#clock.now();
    const before = [...(this.#rooms.get(roomId) ?? [])];
    // The clock may have been set back.
    const isLive = ({ until }: Typist): boolean => until > now && until <= now + LONGEST_MS;
    const others = before.filter(([key, typist]) => key !== `${tenant}\n${user}` && isLive(typist));
    const room = new Map(others);
    const until = now + Math.min(Math.max(timeout ?? USUAL_MS, 0), LONGEST_MS);
    if (typing) {
      const same = others.filter(([, typist]) => typist.tenant === tenant);
      if (same.length >= MAX_TYPING)
        room.delete(same.reduce((one, other) => (other[1].until < one[1].until ? other : one))[0]);
      room.set(`${tenant}\n${user}`, { tenant, until });
    }
    if (room.size > 0) this.#rooms.set(roomId, room);
    else this.#rooms.delete(roomId);
    if (others.length === 0) return null;
    const latest = Math.max(...others.map(([, typist]) => typist.until), typing ? until : 0);
    return { typing: true, timeout: latest - now };
  }
}
