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
 * Lists the pseudouser in the room's `io.element.functional_members` (MSC4171). Present clients heed it: they leave
 * the pseudouser out of the room's name. The caller does this once per stay, so that a user who removes it from the
 * list need not do so twice.
 */
export class FunctionalMember {
  readonly #parts: FunctionalMemberParts;

  constructor(parts: FunctionalMemberParts) {
    this.#parts = parts;
  }

  /** Adds the pseudouser to the list if it may and the operator wants it. A failure is only logged. */
  async enlist(roomId: RoomId, power: RoomPower, abort: AbortSignal): Promise<void> {
    const { members, store, own, isWanted, clock, log } = this.#parts;
    if (!isWanted() || !maySend(FUNCTIONAL_MEMBERS, own, power)) return;
    try {
      // Reads it anew, to keep what others have added since the room was loaded.
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
