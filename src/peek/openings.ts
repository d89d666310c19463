import { EmissaryError } from "../model/errors.ts";
import type { RoomId } from "../model/ids.ts";
import { peekingUser, type Holder } from "../model/lease.ts";
import type { LeaseStore } from "../attendance/store/leases.ts";
import type { PeekStore } from "./store.ts";

/** A request in progress that opens a room. Ends with `succeeded` or `failed`. */
export interface Opening {
  /** Called when the lease is written. Ends the look that makes room for it. */
  booked(): Promise<void>;
  succeeded(): void;
  /** @param isFinal whether the lease must end even if others rely on it @returns whether to release the lease */
  failed(isFinal: boolean): boolean;
}

interface UnderWay {
  requests: number;
  isBooked: boolean;
  /** Whether somebody relies on the lease, so a failed request leaves it. */
  isHeld: boolean;
}

export interface OpeningsParts {
  readonly leases: Pick<LeaseStore, "find">;
  readonly peeks: Pick<PeekStore, "countOf" | "longestUnread">;
  readonly release: (roomId: RoomId, holder: Holder) => Promise<boolean>;
  readonly roomsPerUser: number;
  readonly idle: number;
}

/** Most looks examined to find one that may end. */
const LOOKED_THROUGH = 1_000;

/**
 * Tracks who is opening which room. A failed request therefore leaves the lease of the same user's other request, and
 * rooms without a lease yet count towards the limit. At the limit, the look left alone longest makes room for a new
 * one. A device's peeks (MSC2753) do not: they are promised until they expire.
 */
export class Openings {
  readonly #parts: OpeningsParts;
  readonly #underWay = new Map<string, Map<RoomId, UnderWay>>();
  /** Numbers of waiting polls, by holder and room. */
  readonly #polls = new Map<string, number>();
  /** Rooms whose look ends once another is booked, by user. */
  readonly #leaving = new Map<string, Set<RoomId>>();

  constructor(parts: OpeningsParts) {
    this.#parts = parts;
  }

  /** @throws EmissaryError `limited` if the user has reached the limit and all those rooms are in use */
  async begin(holder: Holder, roomId: RoomId): Promise<Opening> {
    const user: Holder = { kind: holder.kind, name: peekingUser(holder.name) };
    const { leases, peeks, release, roomsPerUser, idle: retryAfter } = this.#parts;
    const isHeld = (await leases.find(roomId, holder)) !== null;
    const held = await peeks.countOf(holder);
    const unread = held >= roomsPerUser ? await peeks.longestUnread(user.name, LOOKED_THROUGH) : [];
    // No await from here to the return.
    const rooms = this.#underWay.get(holder.name) ?? new Map<RoomId, UnderWay>();
    const opening = rooms.get(roomId) ?? { requests: 0, isBooked: false, isHeld };
    const leaving = this.#leaving.get(user.name) ?? new Set<RoomId>();
    const unwritten = [...rooms.values()].filter((one) => !one.isBooked && !one.isHeld).length;
    const isNew = !isHeld && opening.requests === 0;
    let idle: RoomId | undefined;
    if (isNew && held + unwritten - leaving.size >= roomsPerUser) {
      idle = unread.find((other) => other !== roomId && !leaving.has(other) && !this.#isInUse(user, other));
      if (idle === undefined) {
        const sentence = `You already look into ${roomsPerUser} rooms, the most for one user; leave some and try again.`;
        throw new EmissaryError("limited", sentence, { reason: "peek-cap", retryAfter });
      }
      this.#leaving.set(user.name, leaving.add(idle));
    }
    this.#underWay.set(holder.name, rooms);
    rooms.set(roomId, opening);
    opening.requests += 1;

    const stay = (): void => {
      if (idle !== undefined) leaving.delete(idle);
      if (leaving.size === 0) this.#leaving.delete(user.name);
    };
    const end = (): void => {
      stay();
      opening.requests -= 1;
      if (opening.requests > 0) return;
      rooms.delete(roomId);
      if (rooms.size === 0) this.#underWay.delete(holder.name);
    };
    return {
      booked: async () => {
        opening.isBooked = true;
        if (idle !== undefined && !this.#isInUse(user, idle)) await release(idle, user);
        stay();
      },
      succeeded: () => {
        opening.isHeld = true;
        end();
      },
      failed: (isFinal) => {
        end();
        return isFinal || (opening.requests === 0 && !opening.isHeld);
      },
    };
  }

  polling({ name }: Holder, roomId: RoomId): () => void {
    const key = `${name} ${roomId}`;
    this.#polls.set(key, (this.#polls.get(key) ?? 0) + 1);
    return () => {
      const others = (this.#polls.get(key) ?? 1) - 1;
      if (others === 0) this.#polls.delete(key);
      else this.#polls.set(key, others);
    };
  }

  #isInUse({ name }: Holder, roomId: RoomId): boolean {
    return this.#polls.has(`${name} ${roomId}`) || this.#underWay.get(name)?.has(roomId) === true;
  }
}
