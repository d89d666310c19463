import type { Clock } from "../model/clock.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";

/** How long a server's behaviour is remembered. */
const KEPT_MS = 10 * 60_000;
const KEPT = 10_000;
/** Asking again within this time gives nothing new. */
const ASKED_MS = 60_000;

/**
 * Remembers which routes work. A homeserver asks servers in the order given, and may wait minutes for one that accepts
 * a connection and stays silent (Synapse: `_try_destination_list`). So silent servers must not come first.
 */
export class RouteHealth {
  readonly #clock: Clock;
  /** The last route that gave the room's summary. */
  readonly #leading = new Map<RoomId, { readonly server: ServerName; readonly at: number }>();
  readonly #silent = new Map<ServerName, number>();
  readonly #asked = new Map<RoomId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Records that all routes of a room were asked. */
  asked(roomId: RoomId): void {
    remember(this.#asked, roomId, this.#clock.now(), KEPT);
  }

  /** Whether all routes were asked moments ago. */
  wasAsked(roomId: RoomId): boolean {
    return this.#isWithin(ASKED_MS, this.#asked.get(roomId));
  }

  led(roomId: RoomId, server: ServerName): void {
    this.#silent.delete(server);
    remember(this.#leading, roomId, { server, at: this.#clock.now() }, KEPT);
  }

  /** The route that gave the summary does not let us in: the next try uses all routes. */
  misled(roomId: RoomId): void {
    this.#leading.delete(roomId);
  }

  saidNothing(server: ServerName): void {
    remember(this.#silent, server, this.#clock.now(), KEPT);
  }

  /** Returns the routes, the working one first and silent ones last. */
  sorted(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const leading = this.leading(roomId, via);
    const rank = (server: ServerName): number => (server === leading ? 0 : this.#isSilent(server) ? 2 : 1);
    return via.toSorted((one, other) => rank(one) - rank(other));
  }

  /** Returns the routes for calls that try one after the other: if one works, silent ones are left out. */
  passable(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const sorted = this.sorted(roomId, via);
    return this.leading(roomId, via) === null ? sorted : sorted.filter((server) => !this.#isSilent(server));
  }

  /** Returns the route that worked for the room lately, or null. */
  leading(roomId: RoomId, via: readonly ServerName[]): ServerName | null {
    const known = this.#leading.get(roomId);
    const isGood = known !== undefined && this.#isWithin(KEPT_MS, known.at) && via.includes(known.server);
    return isGood && !this.#isSilent(known.server) ? known.server : null;
  }

  #isSilent(server: ServerName): boolean {
    return this.#isWithin(KEPT_MS, this.#silent.get(server));
  }

  #isWithin(ms: number, at: number | undefined): boolean {
    return at !== undefined && this.#clock.now() - at < ms;
  }
}
