import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Holder, Lease, LeaseEnd, LeaseWish } from "../../model/lease.ts";
import { Signal } from "../../concurrency/signal.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Ask } from "../../policy/inputs.ts";
import { isVerdictCode, type Verdict, type VerdictCode } from "../../model/verdict.ts";
import type { LeaseStore } from "../store/leases.ts";
import type { LeaseRefusals, RefusedWish } from "./refusals.ts";

/** Grants leases. It is the only way to get one: it asks policy first, then books the lease. */
export class LeaseDesk {
  /** Fires when a lease was booked or ended here: attendance may have work to do. */
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
   * Takes a lease, or renews the holder's lease.
   * @throws EmissaryError `refused-by-policy`, or `limited` if waiting helps, with the verdict's code as reason;
   * homeserver failures while looking at the room.
   */
  async take(wish: LeaseWish & Pick<Ask, "claims">): Promise<Lease> {
    const book = (via: LeaseWish["via"]): Promise<Lease> => this.#store.book({ ...wish, via }, this.#clock.now());
    const admitted = this.#policy.admit(wish, book).catch(async (error: unknown) => {
      // If too many rooms are being looked at to look at this one, that also counts as a refusal.
      const code = error instanceof EmissaryError && error.code === "limited" ? error.reason : null;
      if (code !== null && isVerdictCode(code)) await this.noteRefusal(wish, code);
      throw error;
    });
    const { verdict, shown, booked } = await admitted;
    if (booked === null) {
      await this.#refusals.note(wish, verdict);
      throw refusal(`Policy refuses ${wish.roomId}`, verdict, shown);
    }
    this.changed.notify();
    return booked;
  }

  /**
   * Call it before a room is created: a creation costs its holder the same as a join.
   * @throws EmissaryError `refused-by-policy` if no more rooms are allowed, `limited` if the budget is used up
   */
  async requireSpace(holder: Holder): Promise<void> {
    const verdict = await this.#policy.admitOneMore(holder);
    if (verdict.allowed) return;
    await this.#refusals.note({ roomId: null, holder, via: [] }, verdict);
    throw refusal("Policy refuses another room", verdict);
  }

  /** Notes a wish that a bound outside policy refused before it reached the desk. It counts like policy's refusals. */
  noteRefusal(wish: RefusedWish, code: VerdictCode): Promise<void> {
    return this.#refusals.note(wish, { code, inputs: {} });
  }

  /** Releases a lease; false if the holder had none. */
  async release(roomId: RoomId, holder: Holder, end: LeaseEnd = "released"): Promise<boolean> {
    const ended = await this.#store.end(roomId, holder, end, this.#clock.now());
    if (ended) this.changed.notify();
    return ended;
  }
}

function refusal(what: string, { code, reason, retryAfter }: Verdict, shown: VerdictCode | null = null): EmissaryError {
  // A refusal of these codes soon passes and says nothing against the room.
  const isPassing = shown === null && (code.startsWith("busy") || code.startsWith("budget-"));
  const details = { reason: shown ?? code, ...(shown !== null || retryAfter === null ? {} : { retryAfter }) };
  return new EmissaryError(isPassing ? "limited" : "refused-by-policy", `${what}: ${reason}.`, details);
}
