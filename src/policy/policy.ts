import type { Clock } from "../model/clock.ts";
import type { RoomAlias, RoomId, ServerName } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import { mergeVia, type Room } from "../model/room.ts";
import { SharedAnswers } from "../model/shared-answers.ts";
import type { Verdict } from "../model/verdict.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { judge, type Limits, type RoomLook } from "./judge.ts";
import { wordFor, type Word } from "./permit.ts";
import type { Tenants } from "./tenants.ts";

/** Looks at a room from outside. Null where the homeserver knows no such room or may not see it; rejects where it is unreachable. */
export interface RoomLooker {
  look(roomId: RoomId, via: readonly ServerName[]): Promise<RoomLook | null>;
}

export interface AttendedRooms {
  /** How many rooms the pseudouser is in or on its way into, this one left out; null for a room that is yet to be made. */
  countOthers(roomId: RoomId | null): Promise<number>;
}

/** A look is used again for this long: the desk judges before the lease and the keeper before the join, moments later. */
const LOOK_KEPT_MS = 30_000;
const LOOKS_KEPT = 500;

/** Gathers what a verdict needs, from the ledger where we are in the room and from the homeserver where not, and has it judged. */
export class Policy {
  readonly #ledger: Ledger;
  readonly #looker: RoomLooker;
  readonly #attended: AttendedRooms;
  readonly #tenants: Pick<Tenants, "byId">;
  #limits: Limits;
  readonly #looks: SharedAnswers<RoomLook>;

  constructor(parts: {
    ledger: Ledger;
    looker: RoomLooker;
    attended: AttendedRooms;
    tenants: Pick<Tenants, "byId">;
    limits: Limits;
    clock: Clock;
  }) {
    this.#ledger = parts.ledger;
    this.#looker = parts.looker;
    this.#attended = parts.attended;
    this.#tenants = parts.tenants;
    this.#limits = parts.limits;
    this.#looks = new SharedAnswers(parts.clock, { ms: LOOK_KEPT_MS, entries: LOOKS_KEPT });
  }

  /** Judges by other limits from now on. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
  }

  /**
   * @param alias the name by which the holder asks for the room, where it does not by ID
   * @throws EmissaryError where the homeserver cannot be asked.
   */
  async judge(
    roomId: RoomId,
    holder: Holder,
    via: readonly ServerName[],
    alias: RoomAlias | null = null,
  ): Promise<Verdict> {
    const room = await this.#ledger.room(roomId);
    const word = this.#wordFor(holder, [roomId, alias, room?.canonicalAlias ?? null], room);
    const known = room !== null && room.ownMembership === "join" && room.load === "loaded" ? lookOf(room) : null;
    return judge({
      kind: holder.kind,
      word,
      ownMembership: room?.ownMembership ?? null,
      // The operator's word does not depend on how the room looks, so the homeserver is not asked.
      look:
        known ?? (holder.kind === "operator" ? null : await this.#lookOutside(roomId, mergeVia(via, room?.via ?? []))),
      roomsAttended: await this.#attended.countOthers(roomId),
      limits: this.#limits,
    });
  }

  /** Whether one more room may be made: of a room that is not there yet, the number of rooms is all there is to judge. */
  async judgeOneMore(holder: Holder): Promise<Verdict> {
    return judge({
      kind: holder.kind,
      word: "named",
      ownMembership: null,
      look: null,
      roomsAttended: await this.#attended.countOthers(null),
      limits: this.#limits,
    });
  }

  #wordFor({ kind, name }: Holder, names: readonly (string | null)[], room: Room | null): Word | null {
    if (kind !== "tenant") return null;
    const tenant = this.#tenants.byId(name);
    const known = names.filter((one) => one !== null);
    return tenant === null ? "none" : wordFor(tenant, known, room?.createdFor ?? null);
  }

  async #lookOutside(roomId: RoomId, via: readonly ServerName[]): Promise<RoomLook | null> {
    const key = [roomId, ...via].join(" ");
    return this.#looks.get(key, () => this.#looker.look(roomId, via));
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
