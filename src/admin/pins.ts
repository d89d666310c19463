import { EmissaryError, clauseOf, sentenceOf } from "../model/errors.ts";
import { isRoomAlias, type RoomAlias, type RoomId } from "../model/ids.ts";
import type { Aliases } from "../attendance/leases/target.ts";

/**
 * Returns the room that an alias points to now, to pin it in a grant or an exception. Throws if it is unknown: a grant
 * without a pin would benefit whoever points the alias somewhere first.
 * @throws EmissaryError `bad-request`, `not-found`, or why the homeserver cannot be asked
 */
export async function roomToStandFor(aliases: Aliases, alias: string): Promise<RoomId> {
  if (!isRoomAlias(alias)) throw new EmissaryError("bad-request", `${JSON.stringify(alias)} is not a room alias.`);
  const found = await asked(aliases, alias);
  if (found !== null) return found.roomId;
  throw new EmissaryError("not-found", `The alias ${alias} points to no room: ${INSTEAD}, once there is one.`);
}

const INSTEAD = "name the room by its ID (!…)";

async function asked(aliases: Aliases, alias: RoomAlias): ReturnType<Aliases["resolve"]> {
  try {
    return await aliases.resolve(alias);
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    const { code, reason, retryAfter } = error;
    const details = { ...(reason === null ? {} : { reason }), ...(retryAfter === null ? {} : { retryAfter }) };
    throw new EmissaryError(
      code,
      `Which room ${alias} stands for cannot be told: ${clauseOf(sentenceOf(error))}. Or ${INSTEAD}.`,
      { ...details, cause: error },
    );
  }
}
