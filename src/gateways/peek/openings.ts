import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import { peekingUser, type Holder } from "../../model/lease.ts";
import type { LeaseStore } from "../../leases/desk.ts";

/** A request under way that wants a room opened. Ends with `succeeded` or `failed`. */
export interface Opening {
  /** The lease is written. */
  booked(): void;
  succeeded(): void;
  /** @param isFinal whether it also fails whoever has the lease already @returns whether the lease is to be given back */
  failed(isFinal: boolean): boolean;
}

interface UnderWay {
  requests: number;
  isBooked: boolean;
  /** Whether somebody relies on the lease, so that a request that fails leaves it there. */
  isHeld: boolean;
}

/** What is known of a user's looks, and how one ends. */
export interface UserLooks {
  find: LeaseStore["find"];
  countOf: LeaseStore["countOf"];
  /** Rooms of a holder, the one that it has read least lately first. */
  longestUnread(holder: string, limit: number): Promise<readonly RoomId[]>;
  release(roomId: RoomId, holder: Holder): Promise<boolean>;
}

/** So many are looked at for one that may end. */
const LOOKED_THROUGH = 1_000;

/**
 * Who is opening which room at this moment: so that a request that fails does not end the lease of another of the same user, and
 * that rooms of which there is no lease yet count, too. Where a user has as many rooms as one may, the look that was left alone longest
 * makes room for a new one. A device's peeks (MSC2753) do not: these are promised until they expire.
 */
export class Openings {
  readonly #looks: UserLooks;
  readonly #limits: { readonly roomsPerUser: number; readonly idle: number };
  readonly #underWay = new Map<string, Map<RoomId, UnderWay>>();
  /** Requests by holder and room that wait for news. */
  readonly #polls = new Map<string, number>();

  constructor(looks: UserLooks, limits: { readonly roomsPerUser: number; readonly idle: number }) {
    this.#looks = looks;
    this.#limits = limits;
  }

  /** @throws EmissaryError `limited` where the user looks into as many rooms as one may, and into all of them now. */
  async begin(holder: Holder, roomId: RoomId): Promise<Opening> {
    let opening = await this.#placed(holder, roomId);
    while (opening === null) {
      if (!(await this.#endIdle(holder))) throw this.#tooMany();
      opening = await this.#placed(holder, roomId);
    }
    return opening;
  }

  /** The holder waits for news of the room. @returns what ends that */
  polling({ name }: Holder, roomId: RoomId): () => void {
    const key = `${name} ${roomId}`;
    this.#polls.set(key, (this.#polls.get(key) ?? 0) + 1);
    return () => {
      const others = (this.#polls.get(key) ?? 1) - 1;
      if (others === 0) this.#polls.delete(key);
      else this.#polls.set(key, others);
    };
  }

  /** Null where there is no place. */
  async #placed(holder: Holder, roomId: RoomId): Promise<Opening | null> {
    const isHeld = (await this.#looks.find(roomId, holder)) !== null;
    const leases = await this.#looks.countOf(holder);
    const rooms = this.#underWay.get(holder.name) ?? new Map<RoomId, UnderWay>();
    const opening = rooms.get(roomId) ?? { requests: 0, isBooked: false, isHeld };
    const unwritten = [...rooms.values()].filter((one) => !one.isBooked && !one.isHeld).length;
    if (!isHeld && opening.requests === 0 && leases + unwritten >= this.#limits.roomsPerUser) return null;
    this.#underWay.set(holder.name, rooms);
    rooms.set(roomId, opening);
    opening.requests += 1;

    const end = (): void => {
      opening.requests -= 1;
      if (opening.requests > 0) return;
      rooms.delete(roomId);
      if (rooms.size === 0) this.#underWay.delete(holder.name);
    };
    return {
      booked: () => {
        opening.isBooked = true;
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

  /** Ends the look of the user that was left alone longest. False where there is none. */
  async #endIdle({ kind, name }: Holder): Promise<boolean> {
    const user: Holder = { kind, name: peekingUser(name) };
    for (const roomId of await this.#looks.longestUnread(user.name, LOOKED_THROUGH)) {
      const isInUse = this.#polls.has(`${user.name} ${roomId}`) || this.#underWay.get(user.name)?.has(roomId) === true;
      if (!isInUse && (await this.#looks.release(roomId, user))) return true;
    }
    return false;
  }

  #tooMany(): EmissaryError {
    const { roomsPerUser, idle } = this.#limits;
    return new EmissaryError(
      "limited",
      `You look into ${roomsPerUser} rooms at this moment, and one user may at once; try again when you have left some.`,
      { reason: "peek-cap", retryAfter: idle },
    );
  }
}
