import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Holder, Lease, LeaseEnd, LeaseWish } from "../../model/lease.ts";
import { Signal } from "../../concurrency/signal.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Ask } from "../../policy/inputs.ts";
import { isVerdictCode, type Verdict, type VerdictCode } from "../../model/verdict.ts";
import type { LeaseRefusals, RefusedWish } from "./refusals.ts";

/** What the desk needs of storage. Every call is one commit, with its audit row. */
export interface LeaseStore {
  /** Books the lease, or renews the one that this holder has there; routes are added to the room's. Wakes the room's attendance. */
  book(wish: LeaseWish, now: number): Promise<Lease>;
  /** Ends one lease; false where there is none. */
  end(roomId: RoomId, holder: Holder, end: LeaseEnd, now: number): Promise<boolean>;
  /** Ends the leases whose time is over, at most `limit`; the number ended. */
  expire(now: number, limit: number): Promise<number>;
  /** When the next lease expires; null for none that does. */
  nextExpiry(): Promise<number | null>;
  /** The live lease of a holder in a room. */
  find(roomId: RoomId, holder: Holder): Promise<Lease | null>;
  /** Why this holder's newest lease in the room ended; null where it never had one, or has one now. */
  lastEnd(roomId: RoomId, holder: Holder): Promise<LeaseEnd | null>;
  /** The live leases of a room. */
  ofRoom(roomId: RoomId): Promise<readonly Lease[]>;
  /** How many live leases a holder has. */
  countOf(holder: Holder): Promise<number>;
  /** Rooms in which a holder has a live lease and the pseudouser is present, in the order of their IDs. */
  presentRoomsOf(holder: Holder): Promise<readonly RoomId[]>;
  /** Has a live lease begin at this number of the journal, where it begins later. */
  reachBack(roomId: RoomId, holder: Holder, from: number): Promise<void>;
}

/** The only way to get a lease: policy is asked first, then the lease is booked. */
export class LeaseDesk {
  /** Fires when a lease was booked or ended here: attendance may have something to do. */
  readonly changed = new Signal();

  readonly #store: LeaseStore;
  readonly #policy: Policy;
  readonly #clock: Clock;
  readonly #refusals: Pick<LeaseRefusals, "note">;

  constructor(store: LeaseStore, policy: Policy, clock: Clock, refusals: Pick<LeaseRefusals, "note">) {
    this.#store = store;
    this.#policy = policy;
    this.#clock = clock;
    this.#refusals = refusals;
  }

  /**
   * Takes a lease, or renews the one that this holder has.
   * @throws EmissaryError `refused-by-policy`, or `limited` where time alone mends it, with the verdict's code as reason; homeserver
   *   failures of the look.
   */
  async take(wish: LeaseWish & Pick<Ask, "told">): Promise<Lease> {
    const { verdict, told, booked } = await this.#admit(wish);
    if (booked === null) {
      await this.#refusals.note(wish, verdict);
      throw refusal(`Policy refuses ${wish.roomId}`, verdict, told);
    }
    this.changed.notify();
    return booked;
  }

  /** That the room could not even be looked at, because too many are, counts as a refusal, too. */
  async #admit(
    wish: LeaseWish & Pick<Ask, "told">,
  ): Promise<{ readonly verdict: Verdict; readonly told: VerdictCode | null; readonly booked: Lease | null }> {
    try {
      return await this.#policy.admit(wish, (via) => this.#store.book({ ...wish, via }, this.#clock.now()));
    } catch (error) {
      const code = error instanceof EmissaryError && error.code === "limited" ? error.reason : null;
      if (code !== null && isVerdictCode(code)) await this.#refusals.note(wish, { code, inputs: {} });
      throw error;
    }
  }

  /**
   * For a room that is yet to be made, before it is: who makes it pays for it as for a join.
   * @throws EmissaryError `refused-by-policy` where there may be no more rooms, `limited` where its budget is used up
   */
  async requireSpace(holder: Holder): Promise<void> {
    const verdict = await this.#policy.admitOneMore(holder);
    if (verdict.allowed) return;
    await this.#refusals.note({ roomId: null, holder, via: [] }, verdict);
    throw refusal("Policy refuses another room", verdict);
  }

  /** Notes a wish that was refused before it came here, by a bound of its own: it counts like those that policy refuses. */
  noteRefusal(wish: RefusedWish, code: VerdictCode): Promise<void> {
    return this.#refusals.note(wish, { code, inputs: {} });
  }

  /** Gives a lease back; false where the holder had none. */
  async release(roomId: RoomId, holder: Holder, end: LeaseEnd = "released"): Promise<boolean> {
    const ended = await this.#store.end(roomId, holder, end, this.#clock.now());
    if (ended) this.changed.notify();
    return ended;
  }
}

function refusal(what: string, { code, reason, retryAfter }: Verdict, told: VerdictCode | null = null): EmissaryError {
  if (told !== null) return new EmissaryError("refused-by-policy", `${what}: ${reason}.`, { reason: told });
  const details = { reason: code, ...(retryAfter === null ? {} : { retryAfter }) };
  return new EmissaryError(isPassing(code) ? "limited" : "refused-by-policy", `${what}: ${reason}.`, details);
}

/** Refusals that soon pass, and say nothing against the room. */
function isPassing(code: VerdictCode): boolean {
  return code.startsWith("busy") || code.startsWith("budget-");
}
