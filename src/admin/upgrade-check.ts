import { EmissaryError } from "../model/errors.ts";
import { serverOf, type RoomId, type ServerName } from "../model/ids.ts";
import { resolveRoom } from "../attendance/leases/target.ts";
import { opennessOf } from "../policy/openness.ts";
import { checkUpgrade, type RoomToMove } from "../policy/upgrade-check.ts";
import type { AdminParts } from "./admin.ts";
import type { Handlers } from "./handlers.ts";

/** Answers what would change for a room that moves to MSC1777's room version. */
export function upgradeCheckHandlers(parts: AdminParts): Handlers<"upgradeCheck"> {
  return {
    async upgradeCheck({ params, query }) {
      const { roomId, via } = await resolveRoom(params.room, query.via, parts.aliases);
      return { room_id: roomId, ...checkUpgrade(await roomToMove(parts, roomId, via)) };
    },
  };
}

/** Reads the room from the ledger if we are in it, else from the homeserver. */
async function roomToMove(parts: AdminParts, roomId: RoomId, via: readonly ServerName[]): Promise<RoomToMove> {
  const room = await parts.ledger.room(roomId);
  const vouched = await parts.ledger.hasMemberOf(roomId, serverOf(parts.own));
  if (room?.ownMembership === "join" && room.load === "loaded") {
    const { encryption, canonicalAlias } = room;
    const servers = await parts.overview.servers(roomId);
    return { ...opennessOf(room), encryption, canonicalAlias, servers, vouched };
  }
  const look = await parts.looker.look(roomId, via.length > 0 ? via : (room?.via ?? []));
  if (look === null) {
    throw new EmissaryError(
      "not-found",
      `The homeserver can tell nothing of ${roomId}: it is private, or a server that is in it has to be named (--via).`,
    );
  }
  return { ...look, canonicalAlias: room?.canonicalAlias ?? null, servers: null, vouched };
}
