import { createHmac } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomAlias, type RoomAlias, type RoomId, type ServerName } from "../../model/ids.ts";
import type { Holder, Lease } from "../../model/lease.ts";
import { mergeVia } from "../../model/room.ts";
import type { Keeper } from "../../attendance/keeper.ts";
import type { LeaseDesk, LeaseStore } from "../../leases/desk.ts";
import { resolveRoom, type Aliases, type RoomTarget } from "../../leases/target.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { matchesGlob } from "../../policy/glob.ts";
import type { History } from "./contracts.ts";
import type { RoutesMemory } from "./routes-memory.ts";

export interface PeekOptions {
  /** Milliseconds that a lease lasts after the user's last read. */
  readonly idle: number;
  /** Milliseconds that a request waits for presence. */
  readonly wait: number;
  readonly roomsPerUser: number;
  /** Globs; empty for all. */
  readonly servers: readonly string[];
  readonly rooms: readonly string[];
}

export interface PeekerParts {
  readonly desk: LeaseDesk;
  readonly leases: Pick<LeaseStore, "find" | "countOf">;
  readonly keeper: Pick<Keeper, "untilPresent">;
  readonly ledger: Pick<Ledger, "room">;
  readonly aliases: Aliases;
  readonly history: History;
  readonly routes: RoutesMemory;
  readonly options: PeekOptions;
  /** What users' names in leases are made with. */
  readonly secret: string;
  readonly clock: Clock;
}

/** Rooms whose history was fetched, and renewals that were made, that are remembered. */
const REMEMBERED = 10_000;

/** A room that somebody asks for. */
export interface PeekTarget extends RoomTarget {
  readonly alias: RoomAlias | null;
}

/** Brings the pseudouser into rooms that users look into, and keeps it there while they do. */
export class Peeker {
  readonly #parts: PeekerParts;
  /** Requests under way by holder and room, so that one that fails does not end the lease of another. */
  readonly #underWay = new Map<string, number>();
  /** The pseudouser's membership event for which a room's history was fetched. */
  readonly #fetched = new Map<RoomId, string | null>();
  readonly #renewed = new Map<string, number>();

  constructor(parts: PeekerParts) {
    this.#parts = parts;
  }

  /** The room that is meant, with all routes to it that are known. @throws EmissaryError as resolveRoom does */
  async resolve(idOrAlias: string, via: readonly ServerName[]): Promise<PeekTarget> {
    const { aliases, routes, ledger } = this.#parts;
    const { roomId, via: found } = await resolveRoom(idOrAlias, via, aliases);
    routes.learn(roomId, found);
    const room = await ledger.room(roomId);
    const known = mergeVia(found, mergeVia(routes.of(roomId), room?.via ?? []));
    return { roomId, via: known, alias: isRoomAlias(idOrAlias) ? idOrAlias : null };
  }

  /**
   * Resolves when the pseudouser is in the room for the user, and its history has been asked for.
   * @param who a name that no two users, or devices where these peek apart, share
   * @throws EmissaryError `refused-by-policy`, `limited`, `timeout`, why the homeserver refuses, …: then no lease is left behind
   */
  async open(who: string, target: PeekTarget, gone: AbortSignal): Promise<Lease> {
    const { desk, keeper, options } = this.#parts;
    const { roomId, via, alias } = target;
    const holder = this.holderOf(who);
    this.#requireListed(target);
    await this.#requireSpace(holder, roomId);
    const key = `${holder.name} ${roomId}`;
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    try {
      const lease = await desk.take({ roomId, holder, alias, via, ttl: options.idle });
      await keeper.untilPresent(lease, options.wait, gone);
      await this.#fetchHistory(roomId, gone);
      return lease;
    } catch (error) {
      if (this.#underWay.get(key) === 1) await desk.release(roomId, holder);
      throw error;
    } finally {
      const left = (this.#underWay.get(key) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(key);
      else this.#underWay.set(key, left);
    }
  }

  /** The user has read again: its lease, if it has one, begins anew. */
  async renew(who: string, roomId: RoomId): Promise<void> {
    const { leases, desk, options, clock } = this.#parts;
    const holder = this.holderOf(who);
    const key = `${holder.name} ${roomId}`;
    const now = clock.now();
    const last = this.#renewed.get(key);
    if (last !== undefined && now - last < options.idle / 4) return;
    remember(this.#renewed, key, now);
    const lease = await leases.find(roomId, holder);
    if (lease !== null) await desk.take({ roomId, holder, alias: lease.alias, via: [], ttl: options.idle });
  }

  async close(who: string, roomId: RoomId): Promise<boolean> {
    return this.#parts.desk.release(roomId, this.holderOf(who));
  }

  /** Leases stand in the database and the audit, which are not to tell who looks into which room. */
  holderOf(who: string): Holder {
    const name = createHmac("sha256", this.#parts.secret).update(`peek\n${who}`).digest("base64url").slice(0, 22);
    return { kind: "peek", name };
  }

  #requireListed({ roomId, via, alias }: PeekTarget): void {
    const { servers, rooms } = this.#parts.options;
    const isListed = rooms.length === 0 || matchesGlob(rooms, roomId) || (alias !== null && matchesGlob(rooms, alias));
    const isReachable = servers.length === 0 || via.some((server) => matchesGlob(servers, server));
    if (isListed && isReachable) return;
    throw new EmissaryError(
      "refused-by-policy",
      isListed
        ? "None of the servers of this room is one through which this server lets its users look into rooms (peek.servers)."
        : "This room is not one that this server lets its users look into (peek.rooms).",
      { reason: "not-listed" },
    );
  }

  async #requireSpace(holder: Holder, roomId: RoomId): Promise<void> {
    const { leases, options } = this.#parts;
    if ((await leases.countOf(holder)) < options.roomsPerUser || (await leases.find(roomId, holder)) !== null) return;
    throw new EmissaryError(
      "limited",
      `You look into ${options.roomsPerUser} rooms already, and one user may at once (peek.rooms_per_user); try again when you have left some.`,
      { reason: "peek-cap", retryAfter: options.idle },
    );
  }

  /** Right after a join over federation a room has no history here. */
  async #fetchHistory(roomId: RoomId, gone: AbortSignal): Promise<void> {
    const { ledger, history } = this.#parts;
    const membership = (await ledger.room(roomId))?.ownMembershipEvent ?? null;
    if (this.#fetched.get(roomId) === membership && membership !== null) return;
    await history.fetch(roomId, gone);
    if (!gone.aborted) remember(this.#fetched, roomId, membership);
  }
}

function remember<Key, Value>(memory: Map<Key, Value>, key: Key, value: Value): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size <= REMEMBERED) return;
  const oldest = memory.keys().next();
  if (oldest.done !== true) memory.delete(oldest.value);
}
