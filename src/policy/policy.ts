import type { RoomId, ServerName } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import type { RuleFinding, Verdict, VerdictCode } from "../model/verdict.ts";
import { remember } from "../concurrency/remember.ts";
import type { Budgets, BudgetSubject } from "./budgets.ts";
import { findings, judge } from "./judge.ts";
import { makersOf, type BudgetKind } from "./budget-subjects.ts";
import type { Stage } from "./question.ts";
import { PolicyInputs, type Ask, type PolicyInputParts } from "./inputs.ts";

export interface PolicyParts extends PolicyInputParts {
  readonly budgets: Budgets<BudgetKind>;
}

/** Payments that are remembered. A forgotten one cannot be refunded. */
const PAYMENTS = 10_000;

/** Decides whether the pseudouser may be in a room for a holder, and who pays for the join. All callers ask here. */
export class Policy {
  readonly inputs: PolicyInputs;
  readonly #budgets: Budgets<BudgetKind>;
  /** Rooms that are paid for and whose lease is being booked. Further wishes for them cause no join of their own. */
  readonly #paid = new Map<RoomId, number>();
  /** Subjects that paid for joins whose result is not known yet. */
  readonly #payments = new Map<RoomId, readonly BudgetSubject<BudgetKind>[]>();

  constructor(parts: PolicyParts) {
    this.inputs = new PolicyInputs(parts);
    this.#budgets = parts.budgets;
  }

  /** Judges a wish without payment. @throws EmissaryError if the homeserver cannot be asked */
  async judge(ask: Ask, stage: Exclude<Stage, "take">): Promise<Verdict> {
    const { question } = await this.inputs.gather(ask, stage);
    return judge(question);
  }

  /**
   * Judges a wish for a lease. If it is allowed, the subjects pay for the join that follows, if any, and `book` is
   * called. `shown` is the code that the holder sees in a refusal, if that is not the code of the verdict.
   * @throws EmissaryError if the homeserver cannot be asked; what `book` throws
   */
  async admit<Booked>(
    ask: Ask,
    book: (via: readonly ServerName[]) => Promise<Booked>,
  ): Promise<{ readonly verdict: Verdict; readonly shown: VerdictCode | null; readonly booked: Booked | null }> {
    const { question, shown, subjects, via } = await this.inputs.gather(ask, "take");
    // Payments made in the meantime count. Nothing can happen between this line and the payment.
    const isPaid = subjects.length === 0 || this.#paid.has(ask.roomId);
    const shortage = isPaid ? null : this.#budgets.shortage(subjects);
    const verdict = judge({ ...question, shortage });
    if (!verdict.allowed) return { verdict, shown, booked: null };
    if (!isPaid) {
      this.#budgets.spend(subjects);
      remember(this.#payments, ask.roomId, subjects, PAYMENTS);
    }
    this.#paid.set(ask.roomId, (this.#paid.get(ask.roomId) ?? 0) + 1);
    try {
      return { verdict, shown, booked: await book(via) };
    } finally {
      const others = (this.#paid.get(ask.roomId) ?? 1) - 1;
      if (others === 0) this.#paid.delete(ask.roomId);
      else this.#paid.set(ask.roomId, others);
    }
  }

  /** Returns the findings of all checks, with fresh answers of the homeserver. Nobody pays. Throws as judge does. */
  async explain(ask: Ask): Promise<{ readonly verdict: Verdict; readonly findings: readonly RuleFinding[] }> {
    const { question, subjects } = await this.inputs.gather(ask, "take", true);
    const asked = { ...question, shortage: this.#budgets.shortage(subjects) };
    return { verdict: judge(asked), findings: findings(asked) };
  }

  /** Judges, by the number of rooms only, whether one more room may be made. It is paid for like a join. */
  async admitOneMore(holder: Holder): Promise<Verdict> {
    const question = await this.inputs.oneMore(holder);
    const subjects = makersOf(holder);
    const verdict = judge({ ...question, shortage: this.#budgets.shortage(subjects) });
    if (verdict.allowed) this.#budgets.spend(subjects);
    return verdict;
  }

  /** Called when a join succeeded: the payment is final. */
  joined(roomId: RoomId): void {
    this.#payments.delete(roomId);
  }

  /**
   * Called when the servers refused the join. Refunds all subjects but the room, so that nobody tries one room
   * endlessly. The budgets for room summaries limit attempts at many rooms.
   */
  refused(roomId: RoomId): void {
    const subjects = this.#payments.get(roomId) ?? [];
    this.#payments.delete(roomId);
    this.inputs.misled(roomId);
    this.#budgets.giveBack(subjects.filter(({ kind }) => kind !== "room"));
  }
}
