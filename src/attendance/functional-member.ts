import { roomPath } from "../http/client-paths.ts";
import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import type { HomeserverClient } from "../homeserver/client.ts";
import { contentAt, putContent } from "./homeserver/content.ts";
import type { AttendanceStore } from "./store/attendance.ts";
import { FUNCTIONAL_MEMBERS, maySend, type RoomPower } from "../ledger/loading/power.ts";

export interface FunctionalMemberParts {
  readonly client: HomeserverClient;
  readonly store: Pick<AttendanceStore, "noteDeed">;
  /** Whether the operator wants it (attendance.functional_member). */
  readonly isWanted: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Lists the pseudouser in the room's `io.element.functional_members` (MSC4171), if it may and the operator wants it.
 * Present clients heed it: they leave the pseudouser out of the room's name. The caller does this once per stay, so
 * that a user who removes it from the list need not do so twice. A failure is only logged.
 */
export async function enlist(
  { client, store, isWanted, clock, log }: FunctionalMemberParts,
  roomId: RoomId,
  power: RoomPower,
  abort: AbortSignal,
): Promise<void> {
  const { own } = client;
  if (!isWanted() || !maySend(FUNCTIONAL_MEMBERS, own, power)) return;
  const path = roomPath(roomId, "state", FUNCTIONAL_MEMBERS);
  try {
    // Reads it anew, to keep what others have added since the room was loaded.
    const content = (await contentAt(client, path, "tell a room's functional members", abort)) ?? {};
    const listed = Array.isArray(content["service_members"]) ? content["service_members"] : [];
    if (listed.includes(own)) return;
    const body = { ...content, service_members: [...listed, own] };
    await putContent(client, path, body, "list the pseudouser among a room's functional members", abort);
    await store.noteDeed(roomId, "room.functional-member", clock.now());
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    if (!abort.aborted) log.info("room.functional-member-failed", { room: roomId, cause: error.message });
  }
}
