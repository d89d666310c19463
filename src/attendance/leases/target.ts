import type { Asker } from "../../model/asker.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { Holder } from "../../model/lease.ts";
import { isVerdictCode } from "../../model/verdict.ts";
import type { LeaseDesk } from "./desk.ts";
import { isRoomAlias, isRoomId, serverOf, type RoomAlias, type RoomId, type ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";

/** The room that somebody means, and routes to it. */
export interface RoomTarget {
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
}

export interface Aliases {
  /** Where an alias points; null where it is not known. @throws EmissaryError where the homeserver cannot tell now. */
  resolve(alias: RoomAlias, asker?: Asker): Promise<RoomTarget | null>;
}

/** @throws EmissaryError `bad-parameter` where it is no room ID. */
export function roomIdFrom(text: string): RoomId {
  if (!isRoomId(text)) throw new EmissaryError("bad-parameter", `${JSON.stringify(text)} is not a room ID.`);
  return text;
}

/**
 * The room that an ID or an alias means. An alias brings the servers that its directory names, and its own.
 * @param named routes that the asker gave
 * @throws EmissaryError `bad-parameter` or `not-found`; where the homeserver cannot tell, that.
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

/**
 * The same for a wish for a lease. Where policy refuses to ask for the alias, the wish is refused with it, and counted so.
 * @throws EmissaryError as resolveRoom does
 */
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
