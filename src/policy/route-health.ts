import type { Clock } from "../model/clock.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";

/** So long it counts what a server did. */
const KEPT_MS = 10 * 60_000;
const KEPT = 10_000;
/** Whoever asks again so soon learns nothing new. */
const ASKED_MS = 60_000;

/**
 * Which routes lead anywhere, by what came of asking. A homeserver asks the servers that it is told in their order, and one that takes a
 * connection and says nothing for minutes (Synapse: `_try_destination_list`): so such ones are not to stand first.
 */
export class RouteHealth {
  readonly #clock: Clock;
  /** The route that told of the room last. */
  readonly #leading = new Map<RoomId, { readonly server: ServerName; readonly at: number }>();
  readonly #silent = new Map<ServerName, number>();
  readonly #asked = new Map<RoomId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All of a room's routes were asked. */
  asked(roomId: RoomId): void {
    remember(this.#asked, roomId, this.#clock.now(), KEPT);
  }

  /** Whether they were moments ago. */
  wasAsked(roomId: RoomId): boolean {
    const at = this.#asked.get(roomId);
    return at !== undefined && this.#clock.now() - at < ASKED_MS;
  }

  led(roomId: RoomId, server: ServerName): void {
    this.#silent.delete(server);
    remember(this.#leading, roomId, { server, at: this.#clock.now() }, KEPT);
  }

  /** What told of the room lets nobody in: the next try goes by all. */
  misled(roomId: RoomId): void {
    this.#leading.delete(roomId);
  }

  saidNothing(server: ServerName): void {
    remember(this.#silent, server, this.#clock.now(), KEPT);
  }

  /** The routes, the one that led there first, and those that say nothing last. */
  sorted(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const leading = this.leading(roomId, via);
    const rank = (server: ServerName): number => (server === leading ? 0 : this.#isSilent(server) ? 2 : 1);
    return via.toSorted((one, other) => rank(one) - rank(other));
  }

  /** The same for what is asked through one after the other: where one leads there, those that say nothing are left out. */
  passable(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const sorted = this.sorted(roomId, via);
    return this.leading(roomId, via) === null ? sorted : sorted.filter((server) => !this.#isSilent(server));
  }

  /** The one of these routes that led to the room lately; null for none. */
  leading(roomId: RoomId, via: readonly ServerName[]): ServerName | null {
    const known = this.#leading.get(roomId);
    const isGood = known !== undefined && this.#isFresh(known.at) && via.includes(known.server);
    return isGood && !this.#isSilent(known.server) ? known.server : null;
  }

  #isSilent(server: ServerName): boolean {
    const at = this.#silent.get(server);
    return at !== undefined && this.#isFresh(at);
  }

  #isFresh(at: number): boolean {
    return this.#clock.now() - at < KEPT_MS;
  }
}
