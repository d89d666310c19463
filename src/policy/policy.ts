import type { Clock } from "../model/clock.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import { mergeVia, type Room } from "../model/room.ts";
import type { Verdict } from "../model/verdict.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { judge, type Limits, type RoomLook } from "./judge.ts";

/** Looks at a room from outside. Null where the homeserver knows no such room or may not see it; rejects where it is unreachable. */
export interface RoomLooker {
  look(roomId: RoomId, via: readonly ServerName[]): Promise<RoomLook | null>;
}

export interface AttendedRooms {
  /** How many rooms the pseudouser is in or on its way into, this one left out. */
  countOthers(roomId: RoomId): Promise<number>;
}

/** A look is used again for this long: the desk judges before the lease and the keeper before the join, moments later. */
const LOOK_KEPT_MS = 30_000;
const LOOKS_KEPT = 500;

/** Gathers what a verdict needs, from the ledger where we are in the room and from the homeserver where not, and has it judged. */
export class Policy {
  readonly #ledger: Ledger;
  readonly #looker: RoomLooker;
  readonly #attended: AttendedRooms;
  #limits: Limits;
  readonly #clock: Clock;
  readonly #looks = new Map<string, { readonly at: number; readonly look: Promise<RoomLook | null> }>();

  constructor(parts: { ledger: Ledger; looker: RoomLooker; attended: AttendedRooms; limits: Limits; clock: Clock }) {
    this.#ledger = parts.ledger;
    this.#looker = parts.looker;
    this.#attended = parts.attended;
    this.#limits = parts.limits;
    this.#clock = parts.clock;
  }

  /** Judges by other limits from now on. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
  }

  /** @throws EmissaryError where the homeserver cannot be asked. */
  async judge(roomId: RoomId, holder: Holder, via: readonly ServerName[]): Promise<Verdict> {
    const room = await this.#ledger.room(roomId);
    const known = room !== null && room.ownMembership === "join" && room.load === "loaded" ? lookOf(room) : null;
    return judge({
      kind: holder.kind,
      ownMembership: room?.ownMembership ?? null,
      // The operator's word does not depend on how the room looks, so the homeserver is not asked.
      look:
        known ?? (holder.kind === "operator" ? null : await this.#lookOutside(roomId, mergeVia(via, room?.via ?? []))),
      roomsAttended: await this.#attended.countOthers(roomId),
      limits: this.#limits,
    });
  }

  /** Many who ask the same at once share one look. One that found nothing is not kept. */
  async #lookOutside(roomId: RoomId, via: readonly ServerName[]): Promise<RoomLook | null> {
    const key = [roomId, ...via].join(" ");
    const kept = this.#looks.get(key);
    if (kept !== undefined && this.#clock.now() - kept.at < LOOK_KEPT_MS) return kept.look;
    const look = this.#looker.look(roomId, via);
    const entry = { at: this.#clock.now(), look };
    this.#looks.delete(key);
    this.#looks.set(key, entry);
    if (this.#looks.size > LOOKS_KEPT) {
      const oldest = this.#looks.keys().next();
      if (oldest.done !== true) this.#looks.delete(oldest.value);
    }
    const forget = (): void => {
      if (this.#looks.get(key) === entry) this.#looks.delete(key);
    };
    look.then((found) => {
      if (found === null) forget();
    }, forget);
    return look;
  }
}

function lookOf(room: Room): RoomLook {
  return {
    joinRule: room.joinRule,
    worldReadable: room.historyVisibility === "world_readable",
    joinedMembers: null,
    version: room.version,
    encryption: room.encryption,
  };
}
