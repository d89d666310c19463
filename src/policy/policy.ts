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

/** Payments that are remembered; of one that is forgotten nothing comes back. */
const PAYMENTS = 10_000;

/** May the pseudouser be in a room for somebody, and who pays for the join? The one who answers, whoever asks. */
export class Policy {
  /** What it judges by. */
  readonly weighing: PolicyInputs;
  readonly #budgets: Budgets<BudgetKind>;
  /** Rooms that were paid for and whose lease is being booked: others who come meanwhile cause no join of their own. */
  readonly #paid = new Map<RoomId, number>();
  /** Who paid for joins of which nobody knows yet what becomes of them. */
  readonly #payments = new Map<RoomId, readonly BudgetSubject<BudgetKind>[]>();

  constructor(parts: PolicyParts) {
    this.weighing = new PolicyInputs(parts);
    this.#budgets = parts.budgets;
  }

  /**
   * Judges a wish, without anybody paying for it: `join` before a join that was paid for, `hold` while we are there.
   * @throws EmissaryError where the homeserver cannot be asked.
   */
  async judge(ask: Ask, stage: Exclude<Stage, "take">): Promise<Verdict> {
    const { question } = await this.weighing.gather(ask, stage);
    return judge(question);
  }

  /**
   * Judges a wish for a lease. Where it is allowed and a join follows, that is paid for, and `book` is called with it paid. `told` is the
   * code by which whoever wishes is told of a refusal, where that is not the verdict's.
   * @throws EmissaryError where the homeserver cannot be asked; what `book` throws
   */
  async admit<Booked>(
    ask: Ask,
    book: (via: readonly ServerName[]) => Promise<Booked>,
  ): Promise<{ readonly verdict: Verdict; readonly told: VerdictCode | null; readonly booked: Booked | null }> {
    const { question, told, subjects, via } = await this.weighing.gather(ask, "take");
    // What others have paid meanwhile counts: from here to the payment nothing else happens.
    const isPaid = subjects.length === 0 || this.#paid.has(ask.roomId);
    const shortage = isPaid ? null : this.#budgets.shortage(subjects);
    const verdict = judge({ ...question, shortage });
    if (!verdict.allowed) return { verdict, told, booked: null };
    if (!isPaid) {
      this.#budgets.spend(subjects);
      remember(this.#payments, ask.roomId, subjects, PAYMENTS);
    }
    this.#paid.set(ask.roomId, (this.#paid.get(ask.roomId) ?? 0) + 1);
    try {
      return { verdict, told, booked: await book(via) };
    } finally {
      const others = (this.#paid.get(ask.roomId) ?? 1) - 1;
      if (others === 0) this.#paid.delete(ask.roomId);
      else this.#paid.set(ask.roomId, others);
    }
  }

  /** What every rule says to a wish, the homeserver asked anew. Nobody pays. @throws EmissaryError as judge does */
  async explain(ask: Ask): Promise<{ readonly verdict: Verdict; readonly findings: readonly RuleFinding[] }> {
    const { question, subjects } = await this.weighing.gather(ask, "take", true);
    const asked = { ...question, shortage: this.#budgets.shortage(subjects) };
    return { verdict: judge(asked), findings: findings(asked) };
  }

  /**
   * Whether one more room may be made, which is paid for like a join: of a room that is not there yet, the number of rooms is all there
   * is to judge.
   */
  async admitOneMore(holder: Holder): Promise<Verdict> {
    const question = await this.weighing.oneMore(holder);
    const subjects = makersOf(holder);
    const verdict = judge({ ...question, shortage: this.#budgets.shortage(subjects) });
    if (verdict.allowed) this.#budgets.spend(subjects);
    return verdict;
  }

  /** A join came about: who paid for it got it. */
  joined(roomId: RoomId): void {
    this.#payments.delete(roomId);
  }

  /**
   * The servers that were asked refuse the join: nobody got anything, so nobody pays. The room had its try, and is not tried without end;
   * nor is anybody else's room, since each look at one is paid for, too.
   */
  refused(roomId: RoomId): void {
    const subjects = this.#payments.get(roomId) ?? [];
    this.#payments.delete(roomId);
    this.weighing.misled(roomId);
    this.#budgets.giveBack(subjects.filter(({ kind }) => kind !== "room"));
  }
}
