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

/** Tracks typing users of all tenants: the pseudouser types in a room while any of them does. A restart loses this. */
export class Typists {
  readonly #clock: Clock;
  readonly #rooms = new Map<RoomId, Map<TenantId, Map<UserId, number>>>();

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
    const room = this.#rooms.get(roomId) ?? new Map<TenantId, Map<UserId, number>>();
    const users = room.get(tenant) ?? new Map<UserId, number>();
    users.delete(user);
    room.set(tenant, users);
    const latest = latestIn(room, now);
    if (typing) {
      if (users.size >= MAX_TYPING)
        users.delete([...users].reduce((one, other) => (other[1] < one[1] ? other : one))[0]);
      users.set(user, now + Math.min(Math.max(timeout ?? USUAL_MS, 0), LONGEST_MS));
    }
    for (const [id, typists] of room) if (typists.size === 0) room.delete(id);
    if (room.size > 0) this.#rooms.set(roomId, room);
    else this.#rooms.delete(roomId);
    if (latest === null) return null;
    return { typing: true, timeout: Math.max(latest, users.get(user) ?? 0) - now };
  }
}

/** Returns when the last user stops typing; null if nobody types. Removes expired users. */
function latestIn(room: ReadonlyMap<TenantId, Map<UserId, number>>, now: number): number | null {
  let latest: number | null = null;
  for (const users of room.values()) {
    for (const [user, until] of users) {
      // The clock may have been set back.
      if (until <= now || until > now + LONGEST_MS) users.delete(user);
      else if (latest === null || until > latest) latest = until;
    }
  }
  return latest;
}
