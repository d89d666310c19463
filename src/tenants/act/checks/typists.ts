import type { Clock } from "../../../model/clock.ts";
import type { RoomId, TenantId, UserId } from "../../../model/ids.ts";

/** As long as Synapse lets somebody type without saying so again, and without a time given, milliseconds. */
const LONGEST_MS = 120_000;
const USUAL_MS = 30_000;
/** Users of one tenant that type in one room; the one that is soonest done goes. */
const MAX_TYPING = 100;

/** What the room is to see. */
export interface Typing {
  readonly typing: boolean;
  readonly timeout: number;
}

/** Who of all tenants' users types where: a room sees one user typing for as long as any of them does. Lost with the program, as elsewhere. */
export class Typists {
  readonly #clock: Clock;
  readonly #rooms = new Map<RoomId, Map<TenantId, Map<UserId, number>>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A user types, for so long, or no longer does.
   * @returns null where no other types, so that the room is to see just that
   */
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

/** When the last of those who type will have stopped; null where nobody types. Whoever has is forgotten. */
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
