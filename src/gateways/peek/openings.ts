import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Holder } from "../../model/lease.ts";
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

/**
 * Who is opening which room at this moment: so that a request that fails does not end the lease of another of the same user, and
 * that rooms of which there is no lease yet count, too.
 */
export class Openings {
  readonly #leases: Pick<LeaseStore, "find" | "countOf">;
  readonly #limits: { readonly roomsPerUser: number; readonly idle: number };
  readonly #underWay = new Map<string, Map<RoomId, UnderWay>>();

  constructor(
    leases: Pick<LeaseStore, "find" | "countOf">,
    limits: { readonly roomsPerUser: number; readonly idle: number },
  ) {
    this.#leases = leases;
    this.#limits = limits;
  }

  /** @throws EmissaryError `limited` where the user looks into as many rooms as one may. */
  async begin(holder: Holder, roomId: RoomId): Promise<Opening> {
    const isHeld = (await this.#leases.find(roomId, holder)) !== null;
    const leases = await this.#leases.countOf(holder);
    const rooms = this.#underWay.get(holder.name) ?? new Map<RoomId, UnderWay>();
    const opening = rooms.get(roomId) ?? { requests: 0, isBooked: false, isHeld };
    const unwritten = [...rooms.values()].filter((one) => !one.isBooked && !one.isHeld).length;
    if (!isHeld && opening.requests === 0 && leases + unwritten >= this.#limits.roomsPerUser) throw this.#tooMany();
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

  #tooMany(): EmissaryError {
    const { roomsPerUser, idle } = this.#limits;
    return new EmissaryError(
      "limited",
      `You look into ${roomsPerUser} rooms already, and one user may at once; try again when you have left some.`,
      { reason: "peek-cap", retryAfter: idle },
    );
  }
}
