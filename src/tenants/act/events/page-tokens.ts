import { roomPath } from "../../../http/client-paths.ts";
import { setImmediate } from "node:timers/promises";
import type { RoomId } from "../../../model/ids.ts";
import { parsedObject, stringAt } from "../../../model/json.ts";
import { queryAll } from "../../../http/server.ts";
import { positionOf } from "../../sync/token.ts";
import type { ActParts, Call } from "../act.ts";

/** Journal entries searched for one token, and per read. */
const MAX_LOOKED_AT = 20_000;
const AT_ONCE = 200;

/** Replaces `/sync` tokens, which are places in the journal, in a request for history by the homeserver's. */
export async function withPageTokens({ parts, request }: Call, roomId: RoomId, path: string): Promise<string> {
  const [target = "", query = ""] = path.split("?");
  const parameters = new URLSearchParams(query);
  let isChanged = false;
  for (const name of ["from", "to"] as const) {
    const position = positionOf(parameters.get(name) ?? "");
    if (position === null) continue;
    isChanged = true;
    const isForwards = queryAll(request, "dir").includes("f");
    // Without a token, reading backwards begins at the newest event. Other bounds need a token.
    const isNeeded = isForwards || name === "to";
    const newest = `${roomPath(roomId, "messages")}?dir=b&limit=1`;
    const token = (await tokenAt(parts, roomId, position)) ?? (isNeeded ? await tokenIn(parts, newest, "start") : null);
    if (token === null) parameters.delete(name);
    else parameters.set(name, token);
  }
  return isChanged ? `${target}?${parameters.toString()}` : path;
}

/**
 * Returns the homeserver's token after the room's last event before the position, if that is near, else before the
 * first one after it; or null. In a forked room only the former has everything of the journal on one side.
 */
async function tokenAt(
  parts: ActParts,
  roomId: RoomId,
  position: NonNullable<ReturnType<typeof positionOf>>,
): Promise<string | null> {
  const { journal, openings } = parts;
  const { last } = await journal.bounds();
  // If a restore undid the position, only the newest token remains to begin at.
  if (!openings.has({ ...position, change: 0 }, { seq: last, change: 0 })) return null;
  const near = await journal.read(Math.max(0, position.seq - AT_ONCE), AT_ONCE);
  const before = near.findLast(({ seq, event }) => seq <= position.seq && event.room_id === roomId);
  const after = before === undefined ? null : await tokenOf(parts, roomId, before.event.event_id, "end");
  if (after !== null) return after;
  for (let seq = position.seq, looked = 0; looked < MAX_LOOKED_AT; looked += AT_ONCE) {
    const entries = await journal.read(seq, AT_ONCE);
    const found = entries.find(({ event }) => event.room_id === roomId);
    if (found !== undefined) {
      const token = await tokenOf(parts, roomId, found.event.event_id, "start");
      if (token !== null) return token;
      seq = found.seq;
      continue;
    }
    const end = entries.at(-1)?.seq;
    if (end === undefined) return null;
    seq = end;
    // SQLite answers synchronously: yields to other work.
    await setImmediate();
  }
  return null;
}

/** Returns the token before (`start`) or after (`end`) an event. */
function tokenOf(parts: ActParts, roomId: RoomId, eventId: string, side: "start" | "end"): Promise<string | null> {
  return tokenIn(parts, `${roomPath(roomId, "context", eventId)}?limit=0`, side);
}

async function tokenIn({ upstream }: ActParts, path: string, key: "start" | "end"): Promise<string | null> {
  const { status, body } = await upstream.answer("GET", path, null);
  return status === 200 ? stringAt(parsedObject(body), key) : null;
}
