import { roomPath } from "../http/client-paths.ts";
import { createHmac } from "node:crypto";
import type { Asker } from "../model/asker.ts";
import { withLimit, type Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, type EventId, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import type { Holder, Lease } from "../model/lease.ts";
import { mergeVia, type Room } from "../model/room.ts";
import type { Keeper } from "../attendance/keeper.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import { resolveRoom, type RoomTarget } from "../attendance/leases/target.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { matchesGlob } from "../policy/glob.ts";
import type { Pointers } from "../policy/pointers.ts";
import { isOpen, isReadable, isShown, opennessOf, shownRoutes } from "../policy/openness.ts";
import type { HomeserverClient } from "../homeserver/client.ts";
import { Openings, type OpeningsParts } from "./openings.ts";
import { remember } from "../concurrency/remember.ts";
import type { RoutesMemory } from "./routes-memory.ts";
import type { Identity } from "./users.ts";
import { before, isStillJoining, withRoutes } from "./waiting.ts";

export interface PeekOptions {
  /** Lease lifetime in milliseconds after the user's last read. */
  readonly idle: number;
  /** Longest wait of a request for the pseudouser to be in the room, in milliseconds. */
  readonly wait: number;
  readonly roomsPerUser: number;
  /** Globs; empty for all. */
  readonly servers: readonly string[];
  readonly rooms: readonly string[];
}

export interface PeekerParts extends Pick<OpeningsParts, "leases" | "peeks"> {
  readonly desk: LeaseDesk;
  readonly keeper: Pick<Keeper, "untilPresent">;
  readonly ledger: Pick<Ledger, "room">;
  readonly aliases: Pick<Pointers, "resolve" | "pointing">;
  readonly client: HomeserverClient;
  readonly routes: RoutesMemory;
  readonly options: PeekOptions;
  /** Key of the hash that hides users' names in leases. */
  readonly secret: string;
  readonly clock: Clock;
}

const REMEMBERED = 10_000;
/** Events of history to ask for: somewhat more than a screenful. */
const HISTORY_EVENTS = 50;
/**
 * How long the homeserver may backfill, in milliseconds. It asks other servers, and takes about ten seconds for a room
 * of a thousand members.
 */
const HISTORY_TIMEOUT_MS = 60_000;

export interface PeekTarget extends RoomTarget {
  readonly alias: RoomAlias | null;
}

/** Brings the pseudouser into the rooms that users look into, and keeps it there while they look. */
export class Peeker {
  readonly #parts: PeekerParts;
  readonly #openings: Openings;
  /** History fetches by room, each with the pseudouser's membership event at that time. */
  readonly #histories = new Map<RoomId, { readonly stay: EventId | null; readonly fetched: Promise<boolean> }>();
  /** Expiry of leases taken or renewed here, by holder and room. */
  readonly #until = new Map<string, number>();
  readonly #holders = new Map<string, Holder>();

  constructor(parts: PeekerParts) {
    this.#parts = parts;
    const release = (roomId: RoomId, holder: Holder): Promise<boolean> => this.#release(roomId, holder);
    this.#openings = new Openings({ ...parts, ...parts.options, release });
  }

  /** Returns the room with all known routes to it. @throws EmissaryError as resolveRoom does */
  async resolve(idOrAlias: string, named: readonly ServerName[], asker?: Asker): Promise<PeekTarget> {
    const { routes, ledger } = this.#parts;
    const { roomId, via: found } = await this.#find(idOrAlias, named, asker);
    const alias = isRoomAlias(idOrAlias) ? idOrAlias : null;
    if (alias !== null) routes.learn(roomId, found, alias);
    const room = await ledger.room(roomId);
    // Once we are in a room its routes are known, and servers that a caller names must not displace them.
    const isThere = room?.ownMembership === "join" && isShown(opennessOf(room));
    const known = mergeVia(routes.of(roomId), shownRoutes(room));
    const via = isThere ? room.via : routes.withLastResort(roomId, mergeVia(found, known));
    return { roomId, via, alias };
  }

  /**
   * Resolves when the pseudouser is in the room for the user and the fetch of its history has ended. Takes at most
   * `wait`. On an error the lease is taken back, unless another request of the user relies on it or the join is only
   * slow (STILL_JOINING): the next request will find that join done.
   * @param who a name that is unique to the user, or to the device if devices peek separately
   * @throws EmissaryError `refused-by-policy`, `limited`, `timeout`, the homeserver's reason, …
   */
  async open(who: string, target: PeekTarget, gone: AbortSignal): Promise<Lease> {
    const { desk, keeper, options, clock, routes } = this.#parts;
    const { roomId, alias } = target;
    const via = await this.#listed(target);
    const holder = this.holderOf(who);
    const opening = await this.#openings.begin(holder, roomId);
    return withLimit(clock, options.wait, gone, async (limit) => {
      const taken = desk.take({ roomId, holder, alias, via, ttl: options.idle });
      const settled = Promise.allSettled([taken]);
      try {
        const lease = await before(limit, taken, via);
        await opening.booked();
        await keeper.untilPresent(lease, options.wait, limit, true);
        opening.succeeded();
        remember(this.#until, keyOf(holder, roomId), clock.now() + options.idle, REMEMBERED);
        routes.hint(roomId, via);
        await this.#fetchHistory(roomId, limit);
        return lease;
      } catch (error) {
        if (isStillJoining(error) && !gone.aborted) {
          opening.succeeded();
          throw error;
        }
        const isSettled = await Promise.race([settled.then(() => true), Promise.resolve(false)]);
        const released = settled.then(async () => {
          if (opening.failed(isRefusal(error))) await this.close(who, roomId);
        });
        if (isSettled) await released;
        // A lease booked after the user was answered is released then; if that write fails, it expires.
        else released.catch(() => undefined);
        throw withRoutes(error, via);
      }
    });
  }

  /** Renews the user's lease. If the user has none and the pseudouser is in a readable room, takes one. */
  async keep(who: string, room: Room, during = 0): Promise<void> {
    const { desk, options } = this.#parts;
    const { roomId } = room;
    if (await this.renew(who, roomId, during)) return;
    const openness = opennessOf(room);
    if (room.ownMembership !== "join" || room.load !== "loaded" || !isOpen(openness) || !isReadable(openness)) return;
    const via = await this.#listed({ roomId, via: room.via, alias: null });
    const holder = this.holderOf(who);
    const opening = await this.#openings.begin(holder, roomId);
    try {
      await desk.take({ roomId, holder, via, ttl: options.idle + during });
      await opening.booked();
      opening.succeeded();
    } catch (error) {
      opening.failed(false);
      throw error;
    }
  }

  async close(who: string, roomId: RoomId): Promise<boolean> {
    return this.#release(roomId, this.holderOf(who));
  }

  /** Marks the user as waiting for news of the room. @returns a function that ends the wait */
  polling(who: string, roomId: RoomId): () => void {
    return this.#openings.polling(this.holderOf(who), roomId);
  }

  #release(roomId: RoomId, holder: Holder): Promise<boolean> {
    this.#until.delete(keyOf(holder, roomId));
    return this.#parts.desk.release(roomId, holder);
  }

  /** Hashes the name: leases and audit must not tell who looks where. A device's is its user's, a stop, its own. */
  holderOf(who: string): Holder {
    const known = this.#holders.get(who);
    if (known !== undefined) return known;
    const name = this.#nameOf(who);
    const [user = who] = who.split("\n", 1);
    const holder: Holder = { kind: "peek", name: user === who ? name : `${this.#nameOf(user)}.${name}` };
    remember(this.#holders, who, holder, REMEMBERED);
    return holder;
  }

  #nameOf(who: string): string {
    return createHmac("sha256", this.#parts.secret).update(`peek\n${who}`).digest("base64url").slice(0, 22);
  }

  /** Whether the user's lease is so fresh that a read of `during` milliseconds does not need to renew it. */
  isLongEnough(who: string, roomId: RoomId, during = 0): boolean {
    const { clock, options } = this.#parts;
    const known = this.#until.get(keyOf(this.holderOf(who), roomId));
    return known !== undefined && clock.now() + during + options.idle - known < options.idle / 4;
  }

  /** Renews the user's lease for a read of `during` ms. Ends it if policy forbids the look. Returns false if none. */
  async renew(who: string, roomId: RoomId, during = 0): Promise<boolean> {
    const { leases, desk, options, clock } = this.#parts;
    const holder = this.holderOf(who);
    const key = keyOf(holder, roomId);
    const until = clock.now() + options.idle + during;
    if (this.isLongEnough(who, roomId, during)) return true;
    const lease = await leases.find(roomId, holder);
    if (lease === null) return false;
    try {
      await desk.take({ roomId, holder, alias: lease.alias, via: [], ttl: options.idle + during });
      remember(this.#until, key, until, REMEMBERED);
    } catch (error) {
      if (isRefusal(error)) await this.close(who, roomId);
      throw error;
    }
    return true;
  }

  /** Returns the routes that the operator's lists allow. @throws EmissaryError `refused-by-policy` if none */
  async #listed({ roomId, via, alias }: PeekTarget): Promise<readonly ServerName[]> {
    const { routes, options } = this.#parts;
    const { servers, rooms } = options;
    const names = new Set([...(alias === null ? [] : [alias]), ...routes.aliasesOf(roomId)]);
    if (rooms.length > 0 && !matchesGlob(rooms, roomId) && !(await this.#isListedAs(names, roomId))) {
      throw refusal("This server does not let its users look into this room (peek.rooms).");
    }
    if (servers.length === 0) return via;
    // A caller may name servers unrelated to the room. Only a listed server may lead into it.
    const listed = via.filter((server) => matchesGlob(servers, server));
    if (listed.length > 0) return listed;
    throw refusal("This server does not let its users look into rooms through this room's servers (peek.servers).");
  }

  /** Whether a listed alias still points to the room. The routes memory may hold it from long ago. */
  async #isListedAs(names: ReadonlySet<RoomAlias>, roomId: RoomId): Promise<boolean> {
    for (const name of names) {
      if (!matchesGlob(this.#parts.options.rooms, name)) continue;
      if ((await this.#parts.aliases.pointing(name, roomId, true)) === "there") return true;
    }
    return false;
  }

  /** Tells the caller that a rule refuses the room, but not which rule: the rule may name others. */
  async #find(idOrAlias: string, via: readonly ServerName[], asker?: Asker): Promise<RoomTarget> {
    try {
      return await resolveRoom(idOrAlias, via, this.#parts.aliases, asker);
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.code !== "refused-by-policy") throw error;
      throw refusal("This server does not let its users look into rooms of that server.", error.reason ?? "denied");
    }
  }

  /**
   * Fetches the room's history, which is missing right after a join over federation, once for each stay: Synapse
   * backfills (spec, server-server API, "Backfilling") when a member reads back to the end of its history. A fetch that
   * takes longer than the user waits continues; one that fails is made again for the next user.
   */
  async #fetchHistory(roomId: RoomId, limit: AbortSignal): Promise<void> {
    const stay = (await this.#parts.ledger.room(roomId))?.ownMembershipEvent ?? null;
    const known = this.#histories.get(roomId);
    const fetching = known?.stay === stay ? known : { stay, fetched: this.#backfilled(roomId) };
    remember(this.#histories, roomId, fetching, REMEMBERED);
    const isFetched = await before(limit, fetching.fetched, []).catch(() => true);
    if (!isFetched && this.#histories.get(roomId) === fetching) this.#histories.delete(roomId);
  }

  async #backfilled(roomId: RoomId): Promise<boolean> {
    const options = { query: { dir: "b", limit: String(HISTORY_EVENTS) }, timeout: HISTORY_TIMEOUT_MS };
    try {
      return (await this.#parts.client.call("GET", roomPath(roomId, "messages"), options)).status === 200;
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      return false;
    }
  }
}

export function deviceKey({ userId, deviceId }: Identity): string {
  return `${userId}\n${deviceId ?? ""}`;
}

function isRefusal(error: unknown): boolean {
  return error instanceof EmissaryError && error.code.startsWith("refused-by");
}

function refusal(sentence: string, reason = "not-listed"): EmissaryError {
  return new EmissaryError("refused-by-policy", sentence, { reason });
}

function keyOf({ name }: Holder, roomId: RoomId): string {
  return `${name} ${roomId}`;
}
