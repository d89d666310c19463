import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId, UserId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import type { AttendanceStore, ServiceMembers } from "./contracts.ts";
import { FUNCTIONAL_MEMBERS, maySend, type RoomPower } from "../ledger/loading/power.ts";

export interface FunctionalMemberParts {
  readonly members: ServiceMembers;
  readonly store: Pick<AttendanceStore, "noteDeed">;
  readonly own: UserId;
  /** Whether the operator wants it (attendance.functional_member). */
  readonly isWanted: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Lists the pseudouser in the room's `io.element.functional_members` (MSC4171), which clients of today heed: they leave it out of the
 * room's name. Whoever calls this does so once a stay, so that nobody who takes it off the list has to do so twice.
 */
export class FunctionalMember {
  readonly #parts: FunctionalMemberParts;

  constructor(parts: FunctionalMemberParts) {
    this.#parts = parts;
  }

  /** Where the power is there and it is wanted. Best effort: a failure is logged, and that is all. */
  async enlist(roomId: RoomId, power: RoomPower, abort: AbortSignal): Promise<void> {
    const { members, store, own, isWanted, clock, log } = this.#parts;
    if (!isWanted() || !maySend(FUNCTIONAL_MEMBERS, own, power)) return;
    try {
      // As it is now: what others have listed since the room was read stays.
      const content = await members.read(roomId, abort);
      const listed = Array.isArray(content["service_members"]) ? content["service_members"] : [];
      if (listed.includes(own)) return;
      await members.write(roomId, { ...content, service_members: [...listed, own] }, abort);
      await store.noteDeed(roomId, "room.functional-member", clock.now());
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      if (!abort.aborted) log.info("room.functional-member-failed", { room: roomId, cause: error.message });
    }
  }
}
