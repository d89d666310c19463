import { EmissaryError } from "../model/errors.ts";
import type { RoomId } from "../model/ids.ts";
import { peekingUser, type Holder } from "../model/lease.ts";
import type { LeaseStore } from "../attendance/leases/desk.ts";

/** A request under way that wants a room opened. Ends with `succeeded` or `failed`. */
export interface Opening {
  /** The lease is written: the look that made room for it ends. */
  booked(): Promise<void>;
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
  /** By user, rooms whose look ends once another is booked. */
  readonly #leaving = new Map<string, Set<RoomId>>();

  constructor(looks: UserLooks, limits: { readonly roomsPerUser: number; readonly idle: number }) {
    this.#looks = looks;
    this.#limits = limits;
  }

  /** @throws EmissaryError `limited` where the user looks into as many rooms as one may, and into all of them now. */
  async begin(holder: Holder, roomId: RoomId): Promise<Opening> {
    const user: Holder = { kind: holder.kind, name: peekingUser(holder.name) };
    const isHeld = (await this.#looks.find(roomId, holder)) !== null;
    const leases = await this.#looks.countOf(holder);
    const isFull = leases >= this.#limits.roomsPerUser;
    const unread = isFull ? await this.#looks.longestUnread(user.name, LOOKED_THROUGH) : [];
    // From here to the end nothing else happens.
    const rooms = this.#underWay.get(holder.name) ?? new Map<RoomId, UnderWay>();
    const opening = rooms.get(roomId) ?? { requests: 0, isBooked: false, isHeld };
    const leaving = this.#leaving.get(user.name) ?? new Set<RoomId>();
    const unwritten = [...rooms.values()].filter((one) => !one.isBooked && !one.isHeld).length;
    const isNew = !isHeld && opening.requests === 0;
    let idle: RoomId | undefined;
    if (isNew && leases + unwritten - leaving.size >= this.#limits.roomsPerUser) {
      idle = unread.find((other) => other !== roomId && !leaving.has(other) && !this.#isInUse(user, other));
      if (idle === undefined) throw this.#tooMany();
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
        if (idle !== undefined && !this.#isInUse(user, idle)) await this.#looks.release(idle, user);
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

  #isInUse({ name }: Holder, roomId: RoomId): boolean {
    return this.#polls.has(`${name} ${roomId}`) || this.#underWay.get(name)?.has(roomId) === true;
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
