import type { Ledger } from "../ledger/ledger.ts";
import { withLimit, type Clock } from "../model/clock.ts";
import type { RoomId, TenantId, UserId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Logger } from "../model/logger.ts";
import { Signal } from "../concurrency/signal.ts";
import type { Tenant } from "../model/tenant.ts";
import { restUntil, workUntil } from "../concurrency/worker.ts";
import type { Tenants } from "../policy/tenants.ts";
import { joinedByInvite } from "./early-joins.ts";
import type { MoveAnswer, StandIn, StandInMoves, StandInStore } from "./contracts.ts";

export interface StandInsParts {
  readonly own: UserId;
  readonly store: StandInStore;
  readonly moves: StandInMoves;
  readonly ledger: Pick<Ledger, "members" | "room">;
  readonly leases: { ofRoom(roomId: RoomId): Promise<readonly Lease[]> };
  readonly tenants: Pick<Tenants, "byId" | "isPersona">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Members that are looked through, and of those how many are asked to let us in. */
const LOOKED_AT = 100;
const ASKED = 3;
const BATCH = 20;
/** While the pseudouser is on its way in, that is looked at again after this. */
const WAIT_MS = 2_000;
/** How long one move may take. */
const MOVE_MS = 60_000;
/** Between two tries: doubled each time, up to the longest; so many, about a day. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60 * 60_000;
const MAX_TRIES = 33;
const LONGEST_SLEEP_MS = 60_000;

/** What the room is told by a user that was invited: it is there, as everybody of its server. */
export function hereAs(own: UserId): string {
  return `Accepted: it takes part as ${own}, which represents the users of its server here.`;
}

/** And where it could not come in: what is to be done. */
export function inviteInstead(own: UserId, tenant: TenantId): string {
  return `It takes part in rooms as ${own} only. Invite ${own} to this room, with the word "${tenant}" as the reason.`;
}

/**
 * Tenants' users that were invited by their own ID. To the homeserver they are users of our namespace, and nobody reads what they are sent;
 * so one comes into a room only to invite the pseudouser, where the room's rules let it, and whoever invited it is told what became of that.
 * What is to be undone is written first: no crash leaves one behind.
 */
export class StandIns {
  readonly #parts: StandInsParts;
  readonly #added = new Signal();

  constructor(parts: StandInsParts) {
    this.#parts = parts;
  }

  /**
   * After the homeserver refused us: whether a user of one of these leases' tenants was invited there, and has let us in. Null where nobody
   * can; a `retry` where that is yet to be told.
   */
  async letIn(roomId: RoomId, leases: readonly Lease[], abort: AbortSignal): Promise<MoveAnswer | null> {
    const { store, moves, clock, log } = this.#parts;
    for (const { userId, tenant, isIn } of await this.#candidates(roomId, leases)) {
      await store.add({ roomId, userId, tenant: tenant.id, reason: null }, clock.now() + WAIT_MS);
      const came = isIn
        ? { outcome: "done" as const }
        : await joinedByInvite(() => moves.join(userId, roomId, tenant.id, abort), clock, abort);
      const invited = came.outcome === "done" ? await moves.invite(userId, roomId, tenant.id, abort) : came;
      if (invited.outcome !== "refused") return invited;
      log.info("stand-in.not-let-in", { room: roomId, tenant: tenant.id, code: invited.code, reason: invited.reason });
    }
    return null;
  }

  /** Has a tenant's user be out of a room, or its invite declined. @param reason what the room is told; null for what then is the case */
  async retire(roomId: RoomId, userId: UserId, tenant: TenantId, reason: string | null): Promise<void> {
    await this.#parts.store.add({ roomId, userId, tenant, reason }, this.#parts.clock.now());
    this.#added.notify();
  }

  run(abort: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    return workUntil(abort, {
      round: () => this.#round(abort),
      signals: [this.#added],
      longest: LONGEST_SLEEP_MS,
      failed: (error) => log.error("stand-ins.round-failed", { error }),
      clock,
    });
  }

  async #round(abort: AbortSignal): Promise<number | null> {
    const { store, clock } = this.#parts;
    for (const one of await store.due(clock.now(), BATCH)) {
      if (abort.aborted) return null;
      await this.#look(one, abort);
    }
    return restUntil(await store.nextDue(), clock);
  }

  /** One that is to let us in stays until we are in, or nobody of its tenant wants that any more. */
  async #look(one: StandIn, abort: AbortSignal): Promise<void> {
    const { own, store, moves, ledger, leases, clock, log } = this.#parts;
    const { roomId, userId, tenant } = one;
    const isIn = (await ledger.room(roomId))?.ownMembership === "join";
    const isAwaited = async (): Promise<boolean> =>
      (await leases.ofRoom(roomId)).some(({ holder }) => holder.kind === "tenant" && holder.name === tenant);
    if (!isIn && (await isAwaited())) return store.scheduleRetry(one, clock.now() + WAIT_MS);
    const reason = isIn ? hereAs(own) : (one.reason ?? inviteInstead(own, tenant));
    // Written before it is asked for: a homeserver that gives no answer is not asked in circles.
    const tries = one.tries + 1;
    await store.scheduleRetry(
      { ...one, tries },
      clock.now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** one.tries),
    );
    const answer = await withLimit(clock, MOVE_MS, abort, (limit) =>
      moves.leave(userId, roomId, tenant, reason, limit),
    );
    if (answer.outcome === "retry" && tries < MAX_TRIES) return;
    // Refused mostly means that it is out already: the invite was taken back.
    if (answer.outcome !== "done") log.info("stand-in.not-retired", { room: roomId, tenant, code: answer.code });
    await store.remove(roomId, userId);
  }

  async #candidates(
    roomId: RoomId,
    leases: readonly Lease[],
  ): Promise<readonly { readonly userId: UserId; readonly tenant: Tenant; readonly isIn: boolean }[]> {
    const { ledger, tenants } = this.#parts;
    const held = leases.flatMap(({ holder }) => (holder.kind === "tenant" ? [tenants.byId(holder.name)] : []));
    const found = [];
    for (const membership of ["invite", "join"] as const) {
      for (const { userId } of await ledger.members(roomId, { membership, after: null, limit: LOOKED_AT })) {
        const tenant = held.find((one) => one !== null && tenants.isPersona(one, userId));
        if (tenant != null) found.push({ userId, tenant, isIn: membership === "join" });
      }
    }
    return found.slice(0, ASKED);
  }
}
