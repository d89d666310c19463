import { roomPath } from "../../http/client-paths.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { isRoomId, serverOf, type RoomId, type ServerName } from "../../model/ids.ts";
import type { Holder, Lease } from "../../model/lease.ts";
import { stringAt } from "../../model/json.ts";
import type { Room } from "../../model/room.ts";
import { Signal } from "../../concurrency/signal.ts";
import { restUntil, workUntil } from "../../concurrency/worker.ts";
import { Budgets, type BudgetSubject } from "../../policy/budgets.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { contentAt } from "../homeserver/content.ts";
import type { UpgradeStore, UpgradeTicket } from "../store/upgrades.ts";
import type { LeaseDesk } from "../leases/desk.ts";
import { bring, type FollowersParts } from "./followers.ts";

export interface UpgradesParts extends FollowersParts {
  readonly store: UpgradeStore;
  readonly ledger: Pick<Ledger, "room">;
  /**
   * Returns the room that the tombstone names now; null if there is no tombstone, or it names none.
   * @throws EmissaryError if the homeserver cannot be asked
   */
  readonly replacementOf: (roomId: RoomId, abort: AbortSignal) => Promise<string | null>;
  readonly desk: Pick<LeaseDesk, "take" | "release">;
  /** Each fires when there may be an upgrade to look into. */
  readonly signals: readonly Signal[];
}

/** Looks under way at once, in all and for rooms of one server. A slow server does not delay the others. */
const AT_ONCE = 16;
const OF_ONE_SERVER = 4;
/** Tickets read to choose from. */
const BATCH = 200;
const LONGEST_SLEEP_MS = 10_000;
const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 6 * 60 * 60_000;
/** A replacement that we cannot enter, and so cannot verify, is given up after this. */
const GIVE_UP_MS = 7 * 24 * 60 * 60_000;
/** Longest stay of the pseudouser in a room to verify it. */
const PROBATION_MS = 60 * 60_000;

const HOUR_MS = 60 * 60_000;
/** Bounds of the looks that ask the homeserver, which anybody who may send a tombstone causes. */
const LOOKS = {
  "looks-room": { joins: 30, per: HOUR_MS },
  "looks-server": { joins: 300, per: HOUR_MS },
  "looks-all": { joins: 3_000, per: HOUR_MS },
} as const;

/** Result of a look: this tombstone is finished, or another look is needed, not before `pause` milliseconds. */
type Outcome = { readonly isOver: true } | { readonly isOver: false; readonly pause: number };
const OVER: Outcome = { isOver: true };
const AGAIN: Outcome = { isOver: false, pause: 0 };

/**
 * Makes leases follow upgrades of rooms. A tombstone only causes a look. A lease moves to another room only if policy
 * allows it there, and if that room's own m.room.create, as the homeserver has it, names the old room as its
 * predecessor. If we are not in that room, a lease of the upgrade itself brings us there; nobody can read by it.
 */
export class Upgrades {
  readonly #parts: UpgradesParts;
  readonly #budgets: Budgets<keyof typeof LOOKS>;
  /** Looks under way, with the server of the old room's creator. */
  readonly #running = new Map<RoomId, string>();
  readonly #work = new Set<Promise<void>>();
  /** Fires when a look is over. */
  readonly #freed = new Signal();

  constructor(parts: UpgradesParts) {
    this.#parts = parts;
    this.#budgets = new Budgets(LOOKS, parts.clock);
  }

  /** Runs until the signal aborts. */
  async run(abort: AbortSignal): Promise<void> {
    const { store, signals, clock, log } = this.#parts;
    await workUntil(abort, {
      round: async () => {
        const isAnyBegun = await this.#round(abort);
        const rest = restUntil(await store.nextDue(this.#busy()), clock);
        // If due looks found no place, the end of another look frees one.
        return isAnyBegun || rest === null || rest > 0 ? rest : null;
      },
      signals: [...signals, this.#freed],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("upgrades.round-failed", { error }),
      clock,
    });
    await Promise.all(this.#work);
  }

  async #round(abort: AbortSignal): Promise<boolean> {
    const { store, ledger, clock } = this.#parts;
    let isAnyBegun = false;
    for (const ticket of await store.due(clock.now(), BATCH, this.#busy())) {
      const old = await ledger.room(ticket.from);
      const server = serverOfMaker(old) ?? ticket.from;
      if (this.#running.size >= AT_ONCE || abort.aborted) break;
      if (this.#countOf(server) >= OF_ONE_SERVER) continue;
      this.#running.set(ticket.from, server);
      isAnyBegun = true;
      const work: Promise<void> = this.#see(ticket, abort).finally(() => {
        this.#running.delete(ticket.from);
        this.#work.delete(work);
        this.#freed.notify();
      });
      this.#work.add(work);
    }
    return isAnyBegun;
  }

  /** Rooms with a look under way. This is not stored, so a look that a crash interrupts is due again. */
  #busy(): ReadonlySet<RoomId> {
    return new Set(this.#running.keys());
  }

  #countOf(server: string): number {
    return [...this.#running.values()].filter((other) => other === server).length;
  }

  /** Takes one look, and writes its result. Never rejects. */
  async #see(ticket: UpgradeTicket, abort: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#parts;
    const { from } = ticket;
    try {
      const outcome = await this.#look(ticket, abort).catch((error: unknown) => {
        if (!abort.aborted) log.warn("upgrade.look-failed", { room: from, cause: sentenceOf(error) });
        return AGAIN;
      });
      if (abort.aborted) return;
      const now = clock.now();
      const isGivenUp = !outcome.isOver && now - ticket.since >= GIVE_UP_MS;
      const to = outcome.isOver || isGivenUp ? null : replacementIn(await this.#parts.ledger.room(from));
      await this.#endProbations(from, to);
      if (isGivenUp) {
        log.warn("upgrade.given-up", { room: from });
        await store.giveUp(ticket, replacementIn(await this.#parts.ledger.room(from)), now);
      } else {
        await store.settle(ticket, outcome.isOver ? null : now + pauseAfter(ticket.tries, outcome.pause), now);
      }
    } catch (error) {
      log.error("upgrade.look-failed", { room: from, error });
    }
  }

  async #look({ from }: UpgradeTicket, abort: AbortSignal): Promise<Outcome> {
    const { store, ledger, replacementOf, refusals, log } = this.#parts;
    const leases = await store.followers(from);
    const old = await ledger.room(from);
    const to = replacementIn(old);
    if (old === null || to === null || leases.length === 0) return OVER;
    const target = await ledger.room(to);
    const predecessor = predecessorOf(target);
    if (predecessor !== undefined && predecessor !== from) {
      // A room's m.room.create never changes, so neither does this result.
      log.info("upgrade.not-genuine", { room: from, replacement: to });
      await refusals.note({ roomId: to, holder: holderOf(from), via: [] }, { code: "no-predecessor", inputs: {} });
      return OVER;
    }
    const isKnown = target?.ownMembership === "join" && target.load === "loaded";
    if (!isKnown && (await store.probations(from)).includes(to)) return AGAIN;
    if (old.ownMembership !== "join") return AGAIN;
    const shortage = this.#pay(from, old);
    if (shortage !== null) return { isOver: false, pause: shortage };
    // The ledger may have missed a redaction, which removes the tombstone's content.
    const named = await replacementOf(from, abort);
    if (named !== to) return named !== null && isRoomId(named) && named !== from ? AGAIN : OVER;
    if (!isKnown) return this.#findOut(from, to, old, leases);
    return (await bring(this.#parts, from, to, leases)) ? OVER : AGAIN;
  }

  /** Makes us go there. Policy judges this lease like one of a holder without privileges. */
  async #findOut(from: RoomId, to: RoomId, old: Room, leases: readonly Lease[]): Promise<Outcome> {
    const { desk, log } = this.#parts;
    const maker = serverOfMaker(old);
    const via = maker === null ? old.via : [...old.via, maker];
    const upgrades = Math.min(...leases.map((lease) => lease.upgrades)) + 1;
    try {
      await desk.take({ roomId: to, holder: holderOf(from), via, upgrades, ttl: PROBATION_MS });
      log.info("upgrade.looked-into", { room: from, replacement: to });
      return AGAIN;
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.code === "internal") throw error;
      if (error.reason === "upgrade-chain") return OVER;
      log.info("upgrade.not-reached", { room: from, replacement: to, cause: error.message });
      return { isOver: false, pause: error.retryAfter ?? 0 };
    }
  }

  async #endProbations(from: RoomId, except: RoomId | null): Promise<void> {
    for (const roomId of await this.#parts.store.probations(from)) {
      if (roomId !== except) await this.#parts.desk.release(roomId, holderOf(from));
    }
  }

  /** Returns null if the budget suffices; else in how many milliseconds it will. */
  #pay(from: RoomId, old: Room): number | null {
    const subjects: readonly BudgetSubject<keyof typeof LOOKS>[] = [
      { kind: "looks-room", name: from },
      { kind: "looks-server", name: serverOfMaker(old) ?? "" },
      { kind: "looks-all", name: "" },
    ];
    return this.#budgets.pay(subjects)?.retryAfter ?? null;
  }
}

function holderOf(from: RoomId): Holder {
  return { kind: "upgrade", name: from };
}

/** Reads the replacement from a room's tombstone, as UpgradesParts.replacementOf says. */
export async function replacementOf(
  client: HomeserverClient,
  roomId: RoomId,
  abort: AbortSignal,
): Promise<string | null> {
  const path = roomPath(roomId, "state", "m.room.tombstone", "");
  const content = await contentAt(client, path, "tell a room's tombstone", abort);
  return content === null ? null : stringAt(content, "replacement_room");
}

function replacementIn(room: Room | null): RoomId | null {
  const named = room?.replacement ?? null;
  return named !== null && isRoomId(named) && named !== room?.roomId ? named : null;
}

/** Returns undefined if the ledger does not have the room's m.room.create. */
function predecessorOf(room: Room | null): string | null | undefined {
  return room === null || room.version === null ? undefined : room.predecessor;
}

function serverOfMaker(room: Room | null): ServerName | null {
  return room === null || room.creator === null ? null : serverOf(room.creator);
}

function pauseAfter(tries: number, atLeast: number): number {
  return Math.max(atLeast, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries, 20)));
}
