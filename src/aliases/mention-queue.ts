import type { Clock } from "../model/clock.ts";
import type { RoomEvent } from "../model/event.ts";
import { isRoomAlias, serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { Signal } from "../concurrency/signal.ts";

/** Most queued aliases. The next sweep finds the rest. */
export const MAX_QUEUED = 1_000;
/** Shortest time between two checks of an alias, whatever events say of it. */
export const REST_MS = 10_000;

/** Most of our aliases that are read from one event. No legitimate event names more. */
const MAX_MENTIONED = 20;

export interface Mention {
  readonly roomId: RoomId;
  /** Aliases of our server in the event. Removed aliases are found by their room. */
  readonly aliases: readonly RoomAlias[];
}

/** Returns what an event says about a room's aliases, or null. Only the directory knows whether it is true. */
export function mentionIn(event: RoomEvent, server: ServerName): Mention | null {
  if (event.state_key !== "") return null;
  if (event.type === "m.room.tombstone") return { roomId: event.room_id, aliases: [] };
  if (event.type !== "m.room.canonical_alias") return null;
  const others = event.content["alt_aliases"];
  const named = [event.content["alias"], ...(Array.isArray(others) ? others : [])].filter(
    (text): text is RoomAlias => typeof text === "string" && isRoomAlias(text) && serverOf(text) === server,
  );
  return { roomId: event.room_id, aliases: [...new Set(named)].slice(0, MAX_MENTIONED) };
}

/** Aliases to check, each once, ordered by when they may be checked. */
export class MentionQueue {
  readonly added = new Signal();
  readonly #clock: Clock;
  /** When each alias may be checked. */
  readonly #due = new Map<RoomAlias, number>();
  /** When each alias was checked, for as long as that delays the next check. */
  readonly #looked = new Map<RoomAlias, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#due.size;
  }

  add(aliases: readonly RoomAlias[]): void {
    for (const alias of aliases) {
      if (this.#due.has(alias) || this.#due.size >= MAX_QUEUED) continue;
      const looked = this.#looked.get(alias);
      this.#due.set(alias, looked === undefined ? 0 : looked + REST_MS);
    }
    if (aliases.length > 0) this.added.notify();
  }

  /** Dequeues an alias that may be checked now; else returns the wait in milliseconds, null if the queue is empty. */
  next(): { readonly alias: RoomAlias } | { readonly alias: null; readonly wait: number | null } {
    const now = this.#clock.now();
    for (const [alias, at] of this.#looked) if (at + REST_MS <= now || at > now) this.#looked.delete(alias);
    let first: RoomAlias | null = null;
    let at = Infinity;
    for (const [alias, due] of this.#due) {
      if (due >= at) continue;
      first = alias;
      at = due;
      if (due <= now) break;
    }
    if (first === null) return { alias: null, wait: null };
    if (at > now) return { alias: null, wait: at - now };
    this.#due.delete(first);
    this.#looked.set(first, now);
    return { alias: first };
  }
}
