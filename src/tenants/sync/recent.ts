import { isStateEvent, type StateEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { written } from "../../model/json.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Feed } from "../feed/feed.ts";
import type { SyncFilter } from "./filter.ts";
import type { Numbered } from "./plan.ts";

const LIMITS = { events: 500, bytes: 4 * 1024 * 1024 } as const;

/** Selects the newest events of each room between two places of the journal. */
export interface RecentWish {
  readonly after: number;
  readonly last: number;
  /** Of each room. */
  readonly limit: number;
  readonly filter: SyncFilter;
}

/** Returns the newest events of each room, oldest first, and the newest invites. */
export async function recentIn(
  feed: Feed,
  tenant: Tenant,
  { after, last, limit, filter }: RecentWish,
): Promise<readonly Numbered[]> {
  const rooms = new Map<RoomId, Numbered[]>();
  const invites: Numbered[] = [];
  /** The number of the newest event by room, type and key. */
  const set = new Map<string, number>();
  for (let seq = after; seq < last;) {
    const { events, upTo, isMore } = await feed.read(tenant, seq, LIMITS, last);
    for (const numbered of events) {
      const { event } = numbered;
      if (event.type === "m.room.member" && event.content["membership"] === "invite") invites.push(numbered);
      if (isStateEvent(event)) set.set(stateKey(event), numbered.seq);
      if (!filter.hasEvent(event)) continue;
      const known = rooms.get(event.room_id);
      if (known === undefined) rooms.set(event.room_id, [numbered]);
      else if (known.push(numbered) > limit) known.shift();
    }
    if (!isMore || upTo <= seq) break;
    seq = upTo;
  }
  const newestFirst = [...(limit === 0 ? [] : [...rooms.values()].flat()), ...invites].sort(
    (one, other) => other.seq - one.seq,
  );
  const shown = new Set(newestFirst.map(({ seq }) => seq));
  // The whole state is in the same answer and applied first: timeline events must not undo newer state.
  const isCurrent = ({ event }: Numbered): boolean => !isStateEvent(event) || shown.has(set.get(stateKey(event)) ?? 0);
  const unique = newestFirst.filter((one, index) => newestFirst[index - 1]?.seq !== one.seq && isCurrent(one));
  let bytes = 0;
  const kept = unique.filter(({ event }) => (bytes += written(event).length) <= LIMITS.bytes);
  return kept.reverse();
}

function stateKey({ room_id: roomId, type, state_key: key }: StateEvent): string {
  return `${roomId}\n${type}\n${key}`;
}
