/** Waits for an event by long-polling `/sync`. */
import { MatrixRequestError } from "./client.ts";
import type { MatrixUser, RoomEvent } from "./client.ts";

const POLL_MS = 2_000;
const TIMELINE_LIMIT = 50;

type Sync = { next_batch: string; rooms?: { join?: Record<string, { timeline?: { events?: RoomEvent[] } }> } };

export async function awaitMessage(
  user: MatrixUser,
  roomId: string,
  isWanted: (event: RoomEvent) => boolean,
  timeoutMs: number,
): Promise<RoomEvent> {
  const none = { not_types: ["*"] };
  const filter = JSON.stringify({
    account_data: none,
    presence: none,
    room: {
      rooms: [roomId],
      account_data: none,
      ephemeral: none,
      state: { lazy_load_members: true },
      timeline: { limit: TIMELINE_LIMIT },
    },
  });
  const deadline = performance.now() + timeoutMs;
  let since: string | undefined;
  const seen: string[] = [];
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    // The first call answers at once with what is there.
    const timeout = since === undefined ? 0 : Math.round(Math.min(POLL_MS, left));
    const answer = await user.request("GET", "/_matrix/client/v3/sync", { filter, since, timeout });
    if (answer.status >= 400) throw new MatrixRequestError(`${user.userId} GET /sync`, answer);
    const sync = answer.body as Sync;
    since = sync.next_batch;
    const events = sync.rooms?.join?.[roomId]?.timeline?.events ?? [];
    const wanted = events.find(isWanted);
    if (wanted) return wanted;
    for (const event of events) seen.push(`${event.type} of ${event.sender}`);
    if (left === 0) {
      const what = seen.length > 0 ? `It saw: ${seen.slice(-10).join(", ")}.` : "It saw none.";
      throw new Error(
        `${user.userId} waited ${timeoutMs / 1000} s for an event in ${roomId} that did not come. ${what}`,
      );
    }
  }
}
