import type { Asker } from "../../model/asker.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { Holder } from "../../model/lease.ts";
import { isVerdictCode } from "../../model/verdict.ts";
import type { LeaseDesk } from "./desk.ts";
import { isRoomAlias, isRoomId, serverOf, type RoomId, type ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";
import type { Aliases, RoomTarget } from "../../policy/pointers.ts";

export type { Aliases, RoomTarget };

/** @throws EmissaryError `bad-parameter` if it is no room ID. */
export function roomIdFrom(text: string): RoomId {
  if (!isRoomId(text)) throw new EmissaryError("bad-parameter", `${JSON.stringify(text)} is not a room ID.`);
  return text;
}

/**
 * Returns the room that an ID or an alias names. An alias brings the servers that its directory lists, and its own.
 * @param named routes that the caller gave
 * @throws EmissaryError `bad-parameter` or `not-found`; the homeserver's failure if it cannot answer.
 */
export async function resolveRoom(
  idOrAlias: string,
  named: readonly ServerName[],
  aliases: Aliases,
  asker?: Asker,
): Promise<RoomTarget> {
  if (isRoomId(idOrAlias)) return { roomId: idOrAlias, via: named };
  if (!isRoomAlias(idOrAlias)) {
    throw new EmissaryError("bad-parameter", `${JSON.stringify(idOrAlias)} is neither a room ID nor a room alias.`);
  }
  const target = await aliases.resolve(idOrAlias, asker);
  if (target === null) throw new EmissaryError("not-found", `The alias ${idOrAlias} points to no room.`);
  return { roomId: target.roomId, via: mergeVia(named, mergeVia(target.via, [serverOf(idOrAlias)])) };
}

/** Does the same for a lease. If policy refuses to look up the alias, the wish counts as refused. */
export async function resolveWish(
  { aliases, desk }: { readonly aliases: Aliases; readonly desk: Pick<LeaseDesk, "noteRefusal"> },
  holder: Holder,
  idOrAlias: string,
  named: readonly ServerName[],
  asker?: Asker,
): Promise<RoomTarget> {
  try {
    return await resolveRoom(idOrAlias, named, aliases, asker);
  } catch (error) {
    const code = error instanceof EmissaryError && error.code === "refused-by-policy" ? error.reason : null;
    if (code !== null && isVerdictCode(code) && isRoomAlias(idOrAlias)) {
      await desk.noteRefusal({ roomId: null, holder, via: [serverOf(idOrAlias)] }, code);
    }
    throw error;
  }
}
