import { Gateway, ServerError, type GatewayOptions, type Json } from "./requests.ts";

const WAIT_MS = 30_000;
/** Longest pause between tries if the gateway does not answer, milliseconds. Pauses double up to it. */
const MAX_PAUSE_MS = 60_000;

export interface ServerEventsOptions extends Omit<GatewayOptions, "userId"> {
  /** Where an earlier run stopped; null to begin with new events. */
  readonly since: string | null;
  readonly signal: AbortSignal;
}

/** Events of the tenant's rooms, in order, and the position after them. Store it once they are handled. */
export interface ServerEvents {
  readonly events: readonly Json[];
  readonly next: string;
}

/**
 * Yields the events of the tenant's rooms, for a bridge whose own listener keeps serving its other rooms. The events
 * are as in an appservice's transactions. Polls until the signal aborts, and retries if the gateway does not answer.
 * @throws ServerError if the gateway refuses the token or the position
 */
export async function* serverEvents({ since, signal, ...options }: ServerEventsOptions): AsyncGenerator<ServerEvents> {
  const gateway = new Gateway(options);
  let position = since;
  let pause = 1_000;
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    try {
      const query = { ...(position === null ? {} : { since: position }), timeout: String(WAIT_MS) };
      const answer = await gateway.ask("GET", ["client", "v3", "sync"], { query, signal });
      const next = String(answer["next_batch"]);
      const events = eventsIn(answer);
      if (next !== position || events.length > 0) yield { events, next };
      position = next;
      pause = 1_000;
    } catch (error) {
      if (isOver()) return;
      if (error instanceof ServerError && error.statusCode < 500 && error.statusCode !== 429) throw error;
      const asked = error instanceof ServerError ? (error.retryAfterMs ?? 0) : 0;
      await sleep(Math.max(pause, asked), signal);
      pause = Math.min(pause * 2, MAX_PAUSE_MS);
    }
  }
}

function eventsIn(answer: Json): Json[] {
  const { join = {}, invite = {}, leave = {} } = answer["rooms"] as Record<string, Record<string, Json>>;
  const events: Json[] = [];
  for (const [roomId, { invite_state }] of Object.entries(invite)) {
    const told = (invite_state as { events: Json[] }).events.at(-1);
    if (told !== undefined) events.push({ ...told, room_id: roomId });
  }
  for (const [roomId, { timeline }] of [...Object.entries(join), ...Object.entries(leave)]) {
    for (const event of (timeline as { events: Json[] }).events) events.push({ ...event, room_id: roomId });
  }
  return events;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
