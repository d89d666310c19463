import type { Ledger } from "../ledger/ledger.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import { resolveRoom, type Aliases, type RoomTarget } from "../attendance/leases/target.ts";
import type { Clock } from "../model/clock.ts";
import { sentenceOf } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from "../model/ids.ts";
import type { Holder, Lease, LeaseEnd } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { MAX_UPGRADES } from "../model/room.ts";
import type { PinStore } from "../policy/store/pins.ts";
import type { Rules } from "../policy/rules.ts";

/** A policy list's name in the configuration. */
export type ListName = RoomId | RoomAlias;

/** The holder of the leases in policy lists' rooms. It is separate from the operator's own holders. */
const HOLDER: Holder = { kind: "operator", name: "policy-list" };
/** Delay before an alias is looked up again, milliseconds; a known one, to see whether it was moved. */
const ASK_AGAIN_MS = { unknown: 60_000, known: 60 * 60_000 } as const;
/** Delay before a lease that ended or was refused is requested again, milliseconds. */
const TAKE_AGAIN_MS = 10 * 60_000;

export interface SubscriptionParts {
  readonly rules: Rules;
  readonly aliases: Aliases;
  readonly pins: PinStore;
  readonly desk: LeaseDesk;
  readonly leases: {
    /** Returns a holder's live leases, in the order in which they were taken. */
    ofHolder(holder: Holder): Promise<readonly Lease[]>;
    lastEnd(roomId: RoomId, holder: Holder): Promise<LeaseEnd | null>;
  };
  readonly ledger: Pick<Ledger, "room">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A list's room, and the rooms that it replaced. Their rules apply until the list is read. */
export type Followed = ReadonlyMap<RoomId, readonly RoomId[]>;

/** A configured alias that the directory points to another room than when it was first looked up. */
export interface MovedList {
  readonly alias: RoomAlias;
  readonly to: RoomId;
}

interface Asked {
  readonly at: number;
  readonly target: RoomTarget | null;
}

/** Finds the rooms of the configured lists, and keeps the pseudouser in them. */
export class Subscriptions {
  readonly #parts: SubscriptionParts;
  readonly #asked = new Map<RoomAlias, Asked>();
  readonly #taken = new Map<RoomId, number>();
  /** By followed room. */
  readonly #moved = new Map<RoomId, MovedList>();

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** Returns where a followed list's alias points now, if it was moved; else null. */
  movedFrom(room: RoomId): MovedList | null {
    return this.#moved.get(room) ?? null;
  }

  /** Makes the next round retry recent failures. */
  hurry(): void {
    this.#asked.clear();
    this.#taken.clear();
  }

  /** Takes a lease in each list's room, and removes the leases and rules of all others. */
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
      // Our lease follows upgrades, if policy allows it. Only if it is gone, we ask for the newest room.
      const place = chain.findLastIndex((each) => held.some(({ roomId }) => roomId === each));
      const upgrades = place < 0 ? chain.length - 1 : place;
      const room = chain[upgrades] ?? target.roomId;
      if (isRoomAlias(name)) this.#noteMoved(name, room, chain);
      const others = chain.filter((each) => each !== room);
      followed.set(room, [...(followed.get(room) ?? []), ...others]);
      if (place < 0) await this.#take({ roomId: room, via: target.via }, name, upgrades);
    }
    // While a name's room is unknown, its rules may be among those that look superfluous.
    if (isComplete) {
      await this.#removeOthers(followed);
      for (const { roomId } of held) if (!followed.has(roomId)) await this.#parts.desk.release(roomId, HOLDER);
    }
    return followed;
  }

  /** Removes the rules of dropped lists, if the lists' rooms are known without the homeserver. */
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

  /** Returns the rooms that the aliases stand for. Unpins aliases that are no longer configured. */
  async #pinned(names: readonly ListName[]): Promise<ReadonlyMap<string, RoomId>> {
    const all = await this.#parts.pins.of("lists");
    const gone = all.filter(({ alias }) => !names.includes(alias));
    for (const { alias } of gone) await this.#parts.pins.unpin("lists", alias);
    return new Map(all.filter((pin) => !gone.includes(pin)).map(({ alias, roomId }) => [alias, roomId]));
  }

  /**
   * Returns the room of a name. An alias's owner must not decide who is denied here: the alias means the room of its
   * first look-up, and that room's replacements, until it is configured anew.
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

  /** Returns where an alias points, from a recent answer. */
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

  /** Logs once if an alias points neither to the list's room nor to one that it replaced. */
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

  /** Returns the room, its genuine replacement, and so on: each must name the other. */
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

/** Returns the room that we leased by an alias. The lease keeps both, through upgrades too. */
function roomLeasedAs(alias: RoomAlias, held: readonly Lease[]): RoomId | null {
  return held.find((lease) => lease.alias === alias)?.roomId ?? null;
}
