import type { Ledger } from "../ledger/ledger.ts";
import { withLimit, type Clock } from "../model/clock.ts";
import type { RoomId, TenantId, UserId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { Signal } from "../concurrency/signal.ts";
import { restUntil, workUntil } from "../concurrency/worker.ts";
import type { Tenants } from "../policy/tenants.ts";
import { joinedByInvite, type MoveAnswer } from "./homeserver/moves.ts";
import type { StandInMoves } from "./homeserver/stand-ins.ts";
import type { LeaseStore } from "./store/leases.ts";
import type { StandIn, StandInStore } from "./store/stand-ins.ts";

export interface StandInsParts {
  readonly own: UserId;
  readonly store: StandInStore;
  readonly moves: StandInMoves;
  readonly ledger: Pick<Ledger, "members" | "room">;
  readonly leases: Pick<LeaseStore, "ofRoom">;
  readonly tenants: Pick<Tenants, "byId" | "isPersona">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Members to look through, and how many of them are asked to let us in. */
const LOOKED_AT = 100;
const ASKED = 3;
const BATCH = 20;
/** Pause between two looks while the pseudouser is joining. */
const WAIT_MS = 2_000;
/** How long one move may take. */
const MOVE_MS = 60_000;
/** Pause between two tries: doubled each time, up to the longest. All tries together take about a day. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60 * 60_000;
const MAX_TRIES = 33;
const LONGEST_SLEEP_MS = 60_000;

/** Returns what an invited user tells the room: it is there, like everybody of its server. */
function hereAs(own: UserId): string {
  return `Accepted: it takes part as ${own}, which represents the users of its server here.`;
}

/** Returns what it tells the room if it could not come in: what to do instead. */
function inviteInstead(own: UserId, tenant: TenantId): string {
  return `It takes part in rooms as ${own} only. Invite ${own} to this room, with the word "${tenant}" as the reason.`;
}

/**
 * Tenants' users that were invited by their own ID. To the homeserver they are users of our namespace, and nobody
 * reads what they are sent. So such a user enters a room only to invite the pseudouser, if the room's rules allow it,
 * and its inviter is told the result. That it must leave is written first, so no crash leaves it behind.
 */
export class StandIns {
  readonly #parts: StandInsParts;
  readonly #added = new Signal();

  constructor(parts: StandInsParts) {
    this.#parts = parts;
  }

  /**
   * Called after the homeserver refused us: checks whether a user of one of these leases' tenants was invited there,
   * and lets it invite the pseudouser. Returns null if no user can; `retry` if that is still open.
   */
  async letIn(roomId: RoomId, leases: readonly Lease[], abort: AbortSignal): Promise<MoveAnswer | null> {
    const { store, moves, clock, log } = this.#parts;
    for (const { isIn, ...user } of await this.#candidates(roomId, leases)) {
      await store.add({ ...user, reason: null }, clock.now() + WAIT_MS);
      const came = isIn
        ? { outcome: "done" as const }
        : await joinedByInvite(() => moves.join(user, abort), clock, abort);
      const invited = came.outcome === "done" ? await moves.invite(user, abort) : came;
      if (invited.outcome !== "refused") return invited;
      const { code, reason } = invited;
      log.info("stand-in.not-let-in", { room: roomId, tenant: user.tenant, code, reason });
    }
    return null;
  }

  /** Makes a tenant's user leave a room, or decline its invite. If `reason` is null, it is chosen at that time. */
  async retire(roomId: RoomId, userId: UserId, tenant: TenantId, reason: string | null): Promise<void> {
    await this.#parts.store.add({ roomId, userId, tenant, reason }, this.#parts.clock.now());
    this.#added.notify();
  }

  run(abort: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#parts;
    return workUntil(abort, {
      round: async () => {
        for (const one of await store.due(clock.now(), BATCH)) {
          if (abort.aborted) return null;
          await this.#look(one, abort);
        }
        return restUntil(await store.nextDue(), clock);
      },
      signals: [this.#added],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("stand-ins.round-failed", { error }),
      clock,
    });
  }

  /** A user that lets us in stays until we are in, or until no lease of its tenant wants that. */
  async #look(one: StandIn, abort: AbortSignal): Promise<void> {
    const { own, store, moves, ledger, leases, clock, log } = this.#parts;
    const { roomId, userId, tenant } = one;
    const isIn = (await ledger.room(roomId))?.ownMembership === "join";
    const isAwaited = async (): Promise<boolean> =>
      (await leases.ofRoom(roomId)).some(({ holder }) => holder.kind === "tenant" && holder.name === tenant);
    if (!isIn && (await isAwaited())) return store.scheduleRetry(one, clock.now() + WAIT_MS);
    const reason = isIn ? hereAs(own) : (one.reason ?? inviteInstead(own, tenant));
    // Written before the call, so that a homeserver that gives no answer is not asked in a tight loop.
    const tries = one.tries + 1;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** one.tries);
    await store.scheduleRetry({ ...one, tries }, clock.now() + pause);
    const answer = await withLimit(clock, MOVE_MS, abort, (limit) => moves.leave(one, reason, limit));
    if (answer.outcome === "retry" && tries < MAX_TRIES) return;
    // A refusal mostly means that it is already out: the invite was taken back.
    if (answer.outcome !== "done") log.info("stand-in.not-retired", { room: roomId, tenant, code: answer.code });
    await store.remove(roomId, userId);
  }

  async #candidates(roomId: RoomId, leases: readonly Lease[]) {
    const { ledger, tenants } = this.#parts;
    const held = leases.flatMap(({ holder }) => (holder.kind === "tenant" ? (tenants.byId(holder.name) ?? []) : []));
    const found = [];
    for (const membership of ["invite", "join"] as const) {
      for (const { userId } of await ledger.members(roomId, { membership, after: null, limit: LOOKED_AT })) {
        const tenant = held.find((one) => tenants.isPersona(one, userId))?.id;
        if (tenant !== undefined) found.push({ roomId, userId, tenant, isIn: membership === "join" });
      }
    }
    return found.slice(0, ASKED);
  }
}
