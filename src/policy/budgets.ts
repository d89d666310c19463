import type { Clock } from "../model/clock.ts";
import { remember } from "../concurrency/remember.ts";

/** A burst of `joins` after a rest, and as many again in each `per` milliseconds. */
export interface Budget {
  readonly joins: number;
  readonly per: number;
}

/** The owner of a budget: `server` example.org, `user` …; `all` has the empty name. */
export interface BudgetSubject<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
}

export interface Shortage<Kind extends string> {
  readonly subject: BudgetSubject<Kind>;
  readonly budget: Budget;
  /** Milliseconds until the budget suffices again. */
  readonly retryAfter: number;
}

export interface BudgetLevel<Kind extends string> {
  readonly subject: BudgetSubject<Kind>;
  readonly left: number;
  readonly of: number;
}

interface Bucket {
  left: number;
  at: number;
}

/** Subjects of one kind that are remembered: those that paid last. A forgotten subject has its whole budget again. */
const KEPT = 10_000;

/**
 * Token buckets by kind and name. Either all subjects of a join pay, or none does. The buckets are in memory: a
 * restart fills them, so somebody who can cause one gains at most one burst.
 */
export class Budgets<Kind extends string> {
  readonly #clock: Clock;
  #budgets: Readonly<Record<Kind, Budget>>;
  readonly #buckets = new Map<Kind, Map<string, Bucket>>();

  constructor(budgets: Readonly<Record<Kind, Budget>>, clock: Clock) {
    this.#budgets = budgets;
    this.#clock = clock;
  }

  /** Sets other budgets. What is left in a bucket stays, up to the new maximum. */
  setBudgets(budgets: Readonly<Record<Kind, Budget>>): void {
    this.#budgets = budgets;
  }

  /** Returns the first subject that cannot pay `cost`, or null if all can. */
  shortage(subjects: readonly BudgetSubject<Kind>[], cost = 1): Shortage<Kind> | null {
    for (const subject of subjects) {
      const budget = this.#budgets[subject.kind];
      const left = this.#left(subject, budget);
      if (left < cost) return { subject, budget, retryAfter: Math.ceil(((cost - left) * budget.per) / budget.joins) };
    }
    return null;
  }

  /** Charges all of the subjects. Call `shortage` before, in the same tick. */
  spend(subjects: readonly BudgetSubject<Kind>[], cost = 1): void {
    for (const subject of subjects) {
      const left = this.#left(subject, this.#budgets[subject.kind]);
      const bucket = { left: Math.max(0, left - cost), at: this.#clock.now() };
      remember(this.#bucketsOf(subject.kind), subject.name, bucket, KEPT);
    }
  }

  /** Charges all of the subjects, or none if one of them cannot pay; then returns that shortage. */
  pay(subjects: readonly BudgetSubject<Kind>[], cost = 1): Shortage<Kind> | null {
    const shortage = this.shortage(subjects, cost);
    if (shortage === null) this.spend(subjects, cost);
    return shortage;
  }

  /** Refunds one to each subject. */
  giveBack(subjects: readonly BudgetSubject<Kind>[]): void {
    for (const subject of subjects) {
      const budget = this.#budgets[subject.kind];
      const left = Math.min(budget.joins, this.#left(subject, budget) + 1);
      const bucket = this.#bucketsOf(subject.kind).get(subject.name);
      if (bucket !== undefined) bucket.left = left;
    }
  }

  /** Returns the buckets with the least left, at most `limit` of each kind, emptiest first. Leaves full ones out. */
  levels(limit: number): readonly BudgetLevel<Kind>[] {
    return [...this.#buckets].flatMap(([kind, buckets]) =>
      [...buckets.keys()]
        .map((name) => {
          const subject = { kind, name };
          return { subject, left: this.#left(subject, this.#budgets[kind]), of: this.#budgets[kind].joins };
        })
        .filter(({ left, of }) => left < of)
        .sort((a, b) => a.left - b.left)
        .slice(0, limit),
    );
  }

  #left({ kind, name }: BudgetSubject<Kind>, { joins, per }: Budget): number {
    const bucket = this.#buckets.get(kind)?.get(name);
    if (bucket === undefined) return joins;
    const now = this.#clock.now();
    // A clock that was set back neither adds nor removes tokens.
    bucket.left = Math.min(joins, bucket.left + (Math.max(0, now - bucket.at) * joins) / per);
    bucket.at = now;
    return bucket.left;
  }

  #bucketsOf(kind: Kind): Map<string, Bucket> {
    const buckets = this.#buckets.get(kind) ?? new Map<string, Bucket>();
    this.#buckets.set(kind, buckets);
    return buckets;
  }
}
