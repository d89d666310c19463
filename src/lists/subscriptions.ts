import type { Ledger } from "../ledger/ledger.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import { resolveRoom, type Aliases, type RoomTarget } from "../attendance/leases/target.ts";
import type { Clock } from "../model/clock.ts";
import { sentenceOf } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from "../model/ids.ts";
import type { Holder, Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { MAX_UPGRADES } from "../model/room.ts";
import type { PinStore } from "../policy/pins.ts";
import type { Rules } from "../policy/rules.ts";
import type { ListLeases, ListName } from "./contracts.ts";

/** Holds the pseudouser in the rooms of policy lists, beside what the operator asks for by hand. */
const HOLDER: Holder = { kind: "operator", name: "policy-list" };
/** An alias is asked for again after this, milliseconds; one that was found, to see whether it points elsewhere by now. */
const ASK_AGAIN_MS = { unknown: 60_000, known: 60 * 60_000 } as const;
/** A lease that ended by itself, or was refused, is not asked for more often than this, milliseconds. */
const TAKE_AGAIN_MS = 10 * 60_000;

export interface SubscriptionParts {
  readonly rules: Rules;
  readonly aliases: Aliases;
  readonly pins: PinStore;
  readonly desk: LeaseDesk;
  readonly leases: ListLeases;
  readonly ledger: Pick<Ledger, "room">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A list's room, and the rooms that it replaced: their rules hold until it was read. */
export type Followed = ReadonlyMap<RoomId, readonly RoomId[]>;

/** An alias of the configuration's that the directory points elsewhere than to the room that it was when it was first looked up. */
export interface MovedList {
  readonly alias: RoomAlias;
  readonly to: RoomId;
}

interface Asked {
  readonly at: number;
  readonly target: RoomTarget | null;
}

/** Which rooms the lists of the configuration are, and that the pseudouser is to be there. */
export class Subscriptions {
  readonly #parts: SubscriptionParts;
  readonly #asked = new Map<RoomAlias, Asked>();
  readonly #taken = new Map<RoomId, number>();
  /** By the rooms that are followed. */
  readonly #moved = new Map<RoomId, MovedList>();

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** Where the alias of a list that is followed points now, if elsewhere; null else. */
  movedFrom(room: RoomId): MovedList | null {
    return this.#moved.get(room) ?? null;
  }

  /** Asks and takes anew what failed lately. */
  hurry(): void {
    this.#asked.clear();
    this.#taken.clear();
  }

  /** Sees to it that we go to each list's room, and to no other as a list, and that no other's rules hold. */
  async settle(names: readonly ListName[]): Promise<Followed> {
    const held = await this.#parts.leases.ofHolder(HOLDER);
    const pinned = await this.#pinned(names);
    const followed = new Map<RoomId, readonly RoomId[]>();
    let isComplete = true;
    for (const name of names) {
      const target = await this.#targetOf(name, held, pinned);
      if (target === null) {
        isComplete = false;
        continue;
      }
      const chain = await this.#successorsOf(target.roomId);
      // Our lease follows upgrades as others do: where policy lets it. Only where it is gone altogether do we ask for the newest room.
      const place = chain.findLastIndex((each) => held.some(({ roomId }) => roomId === each));
      const upgrades = place < 0 ? chain.length - 1 : place;
      const room = chain[upgrades] ?? target.roomId;
      if (isRoomAlias(name)) this.#noteMoved(name, room, chain);
      const others = chain.filter((each) => each !== room);
      followed.set(room, [...(followed.get(room) ?? []), ...others]);
      if (place < 0) await this.#take({ roomId: room, via: target.via }, name, upgrades);
    }
    // While it is not known which room a name means, its rules may be among those that look superfluous.
    if (isComplete) {
      await this.#removeOthers(followed);
      for (const { roomId } of held) if (!followed.has(roomId)) await this.#parts.desk.release(roomId, HOLDER);
    }
    return followed;
  }

  /** Where no homeserver is needed to tell which rules are of no list any more, they go. */
  async removeOthers(names: readonly ListName[]): Promise<void> {
    const held = await this.#parts.leases.ofHolder(HOLDER);
    const pinned = await this.#pinned(names);
    const rooms = names.map((name) => (isRoomId(name) ? name : (pinned.get(name) ?? roomLeasedAs(name, held))));
    if (rooms.includes(null)) return;
    const followed = new Map<RoomId, readonly RoomId[]>();
    for (const room of rooms) if (room !== null) followed.set(room, await this.#successorsOf(room));
    await this.#removeOthers(followed);
  }

  async #removeOthers(followed: Followed): Promise<void> {
    const { rules, log } = this.#parts;
    const kept = new Set([...followed].flatMap(([room, replaced]) => [room, ...replaced]));
    for (const source of rules.book.sources()) {
      if (source === "config" || source === "operator" || kept.has(source)) continue;
      await rules.replaceList(source, []);
      log.info("policy-list.removed", { room: source });
    }
  }

  /** The rooms that the aliases stand for; those that are configured no more stand for none. */
  async #pinned(names: readonly ListName[]): Promise<ReadonlyMap<string, RoomId>> {
    const all = await this.#parts.pins.of("lists");
    const gone = all.filter(({ alias }) => !names.includes(alias));
    for (const { alias } of gone) await this.#parts.pins.unpin("lists", alias);
    return new Map(all.filter((pin) => !gone.includes(pin)).map(({ alias, roomId }) => [alias, roomId]));
  }

  /**
   * The room that a name means. Who is denied here is not for the owner of an alias to say: it means the room that it pointed to when it
   * was first looked up, and what replaced that, until it is configured anew.
   */
  async #targetOf(
    name: ListName,
    held: readonly Lease[],
    pinned: ReadonlyMap<string, RoomId>,
  ): Promise<RoomTarget | null> {
    if (!isRoomAlias(name)) return { roomId: name, via: [] };
    const asked = await this.#asks(name);
    const meant = pinned.get(name) ?? roomLeasedAs(name, held) ?? asked?.roomId ?? null;
    if (meant === null) return null;
    if (!pinned.has(name)) {
      await this.#parts.pins.pin("lists", { alias: name, roomId: meant, at: this.#parts.clock.now() });
    }
    return { roomId: meant, via: asked?.roomId === meant ? asked.via : [] };
  }

  /** Where an alias points, as far as it was told lately. */
  async #asks(name: RoomAlias): Promise<RoomTarget | null> {
    const { aliases, clock, log } = this.#parts;
    const earlier = this.#asked.get(name);
    const since = clock.now() - (earlier?.at ?? -Infinity);
    if (earlier === undefined || since >= ASK_AGAIN_MS[earlier.target === null ? "unknown" : "known"]) {
      let target: RoomTarget | null = null;
      try {
        target = await resolveRoom(name, [], aliases);
      } catch (error) {
        if (earlier === undefined || earlier.target !== null) {
          log.warn("policy-list.unresolved", { list: name, cause: sentenceOf(error) });
        }
      }
      this.#asked.set(name, { at: clock.now(), target });
    }
    return this.#asked.get(name)?.target ?? null;
  }

  /** Says once when an alias points neither to the list's room nor to one that it replaced. */
  #noteMoved(alias: RoomAlias, room: RoomId, chain: readonly RoomId[]): void {
    const to = this.#asked.get(alias)?.target?.roomId;
    if (to === undefined || chain.includes(to)) {
      this.#moved.delete(room);
      return;
    }
    const isNews = this.#moved.get(room)?.to !== to;
    this.#moved.set(room, { alias, to });
    if (isNews) this.#parts.log.warn("policy-list.moved", { list: alias, room, to });
  }

  /** The room, the one that truly replaced it, and so on: each names the other. */
  async #successorsOf(roomId: RoomId): Promise<readonly RoomId[]> {
    const chain = [roomId];
    let last = roomId;
    while (chain.length <= MAX_UPGRADES) {
      const next = (await this.#parts.ledger.room(last))?.replacement ?? "";
      if (!isRoomId(next) || chain.includes(next)) break;
      if ((await this.#parts.ledger.room(next))?.predecessor !== last) break;
      chain.push(next);
      last = next;
    }
    return chain;
  }

  async #take({ roomId, via }: RoomTarget, name: ListName, upgrades: number): Promise<void> {
    const { desk, leases, clock, log } = this.#parts;
    const takenAt = this.#taken.get(roomId);
    if (takenAt !== undefined && clock.now() - takenAt < TAKE_AGAIN_MS) return;
    this.#taken.set(roomId, clock.now());
    const end = await leases.lastEnd(roomId, HOLDER);
    if (end !== null && end !== "released") log.warn("policy-list.put-out", { room: roomId, cause: end });
    try {
      await desk.take({ roomId, holder: HOLDER, alias: isRoomAlias(name) ? name : null, via, upgrades, ttl: null });
    } catch (error) {
      log.warn("policy-list.refused", { room: roomId, cause: sentenceOf(error) });
    }
  }
}

/** The room that we went to by an alias; the lease knows both, through upgrades too. */
function roomLeasedAs(alias: RoomAlias, held: readonly Lease[]): RoomId | null {
  return held.find((lease) => lease.alias === alias)?.roomId ?? null;
}
