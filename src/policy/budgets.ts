import type { Clock } from "../model/clock.ts";
import { remember } from "../concurrency/remember.ts";

/** So many at once after a rest, and as many again in each `per` milliseconds. */
export interface Budget {
  readonly joins: number;
  readonly per: number;
}

/** Whose budget: `server` example.org, `user` …; `all` has one name, the empty one. */
export interface BudgetSubject<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
}

export interface Shortage<Kind extends string> {
  readonly subject: BudgetSubject<Kind>;
  readonly budget: Budget;
  /** Milliseconds until it has enough again. */
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

/** Subjects of one kind that are remembered: those that paid last. One that is forgotten has its whole budget again. */
const KEPT = 10_000;

/**
 * Token buckets by kind and name. All of a deed's subjects pay, or none does. They live in memory: a restart fills them, which gives
 * whoever can bring one about no more than one burst.
 */
export class Budgets<Kind extends string> {
  readonly #clock: Clock;
  #budgets: Readonly<Record<Kind, Budget>>;
  readonly #buckets = new Map<Kind, Map<string, Bucket>>();

  constructor(budgets: Readonly<Record<Kind, Budget>>, clock: Clock) {
    this.#budgets = budgets;
    this.#clock = clock;
  }

  /** Goes by other budgets from now on. What is left of one stays, up to the new one's whole. */
  setBudgets(budgets: Readonly<Record<Kind, Budget>>): void {
    this.#budgets = budgets;
  }

  /** The first of the subjects that cannot pay for one more, or for what else it costs; null where all can. */
  shortage(subjects: readonly BudgetSubject<Kind>[], cost = 1): Shortage<Kind> | null {
    for (const subject of subjects) {
      const budget = this.#budgets[subject.kind];
      const left = this.#left(subject, budget);
      if (left < cost) return { subject, budget, retryAfter: Math.ceil(((cost - left) * budget.per) / budget.joins) };
    }
    return null;
  }

  /** Has all of them pay. Ask `shortage` first, in the same turn. */
  spend(subjects: readonly BudgetSubject<Kind>[], cost = 1): void {
    for (const subject of subjects) {
      const left = this.#left(subject, this.#budgets[subject.kind]);
      const bucket = { left: Math.max(0, left - cost), at: this.#clock.now() };
      remember(this.#bucketsOf(subject.kind), subject.name, bucket, KEPT);
    }
  }

  /** Gives one back to each of them. */
  giveBack(subjects: readonly BudgetSubject<Kind>[]): void {
    for (const subject of subjects) {
      const budget = this.#budgets[subject.kind];
      const left = Math.min(budget.joins, this.#left(subject, budget) + 1);
      const bucket = this.#bucketsOf(subject.kind).get(subject.name);
      if (bucket !== undefined) bucket.left = left;
    }
  }

  /** What is left to those that have the least, per kind at most `limit`, the poorest first. Whole budgets are left out. */
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
    // A clock that was set back gives nothing, and takes nothing.
    bucket.left = Math.min(joins, bucket.left + (Math.max(0, now - bucket.at) * joins) / per);
    bucket.at = now;
    return bucket.left;
  }

  #bucketsOf(kind: Kind): Map<string, Bucket> {
    const known = this.#buckets.get(kind);
    if (known !== undefined) return known;
    const made = new Map<string, Bucket>();
    this.#buckets.set(kind, made);
    return made;
  }
}
