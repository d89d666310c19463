import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomId, type RoomAlias, type RoomId } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";
import { MAX_UPGRADES } from "../../../model/room.ts";
import type { WholeAnswer } from "../../../http/upstream.ts";
import type { ActParts, Call } from "../act.ts";
import { objectFrom } from "../homeserver.ts";

/*
 * Notes which tenant made an alias, in the pseudouser's account data at the homeserver. No tenant reaches it:
 * tenants' account data have types of their own (users/account-data.ts). The note is written before the alias is
 * made, so a crash in between loses no owner. It holds for one room and its replacements: a leftover note says
 * nothing about a later alias for another room.
 */

/** The key of a note's room. */
const ROOM = "room_id";

/** Returns the tenant that made an alias that points to this room, or null. @throws EmissaryError `homeserver-error` */
export async function makerOf(parts: ActParts, alias: RoomAlias, roomId: RoomId): Promise<string | null> {
  const note = await objectFrom(parts.upstream, pathOf(parts, alias), `who made the alias ${alias}`);
  if (note === null) return null;
  const madeFor = stringAt(note, ROOM);
  return madeFor === null || (await follows(parts, roomId, madeFor)) ? stringAt(note, ON_BEHALF_OF) : null;
}

/** Called before a tenant makes an alias. If this throws, the alias must not be made. @throws EmissaryError */
export async function noteMaker({ parts, tenant }: Call, alias: RoomAlias, roomId: RoomId): Promise<void> {
  const { status } = await put(parts, alias, { [ON_BEHALF_OF]: tenant.id, [ROOM]: roomId });
  if (status === 200) return;
  throw new EmissaryError("homeserver-error", `The homeserver did not store who made the alias ${alias}; try again.`);
}

/** Called if the alias was not made, or is removed. Best effort: a note without its alias has no effect. */
export async function forgetMaker(parts: ActParts, alias: RoomAlias): Promise<void> {
  try {
    await put(parts, alias, {});
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
  }
}

/** Whether a room is `madeFor` or replaces it: on upgrades a homeserver moves aliases. */
async function follows({ ledger }: ActParts, roomId: RoomId, madeFor: string): Promise<boolean> {
  let room: string | null = roomId;
  for (let steps = 0; steps <= MAX_UPGRADES && room !== null && isRoomId(room); steps += 1) {
    if (room === madeFor) return true;
    room = (await ledger.room(room))?.predecessor ?? null;
  }
  return false;
}

function put(parts: ActParts, alias: RoomAlias, note: JsonObject): Promise<WholeAnswer> {
  return parts.upstream.answer("PUT", pathOf(parts, alias), Buffer.from(JSON.stringify(note)));
}

function pathOf({ own }: ActParts, alias: RoomAlias): string {
  const type = `org.matrix.msc1777.alias:${alias}`;
  return `/_matrix/client/v3/user/${encodeURIComponent(own)}/account_data/${encodeURIComponent(type)}`;
}
