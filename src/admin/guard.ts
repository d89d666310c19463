import type { RoomAlias, RoomId } from "../model/ids.ts";
import type { Budget, Budgets } from "../policy/budgets.ts";
import type { CoolDownStore } from "../policy/store/cool-downs.ts";
import type { Limits } from "../policy/question.ts";
import { BUDGET_KINDS, budgetsOf, type BudgetKind, type JoinBudgets } from "../policy/budget-subjects.ts";
import type { Pointers } from "../policy/pointers.ts";
import type { Policy } from "../policy/policy.ts";
import type { AttendedRooms } from "../policy/inputs.ts";
import type { Rules } from "../policy/rules.ts";
import type { StatusAnswer } from "./api/daemon.ts";

type Caps = StatusAnswer["policy"];

/** The current configuration of policy. */
export interface GuardConfig extends Limits, JoinBudgets {
  readonly maxEventRate: number;
  readonly ownInvites: string;
  readonly lists: readonly string[];
}

export interface GuardParts {
  readonly config: () => GuardConfig;
  readonly policy: Pick<Policy, "explain">;
  readonly rules: Rules;
  readonly budgets: Budgets<BudgetKind>;
  readonly attended: AttendedRooms;
  readonly coolDowns: CoolDownStore;
  /** Returns the policy lists with a known room, and when each was last read since the start. */
  readonly lists: () => readonly {
    readonly room: RoomId;
    readonly readAt: number | null;
    readonly failures: number;
    /** Where the alias in the configuration points now, if elsewhere. */
    readonly moved: { readonly alias: RoomAlias; readonly to: RoomId } | null;
  }[];
  readonly pointers: Pick<Pointers, "seen">;
}

/** Subjects shown of each budget: those with the least left. */
const SHOWN = 10;

export async function guardJson(parts: GuardParts, now: number): Promise<Caps> {
  const { maxRooms, maxJoinsUnderWay } = parts.config();
  const { others, underWay } = await parts.attended.counts(null);
  return {
    rooms_attended: others,
    max_rooms: maxRooms,
    joins_under_way: underWay,
    max_joins_under_way: maxJoinsUnderWay,
    budgets: budgetsJson(parts),
    cool_downs: await parts.coolDowns.counts(now),
  };
}

/** Returns the budgets, each with the levels of the subjects that have used some. */
export function budgetsJson({ config, budgets }: Pick<GuardParts, "config" | "budgets">): Caps["budgets"] {
  const whole = budgetsOf(config());
  const levels = budgets.levels(SHOWN);
  return BUDGET_KINDS.map((kind) => {
    const { joins, per }: Budget = whole[kind];
    const subjects = levels.filter(({ subject }) => subject.kind === kind);
    return {
      budget: kind,
      joins,
      per_ms: per,
      levels: subjects.map(({ subject, left }) => ({ payer: subject.name, left: Math.floor(left * 100) / 100 })),
    };
  });
}

/** Returns the lowest remaining fraction of any budget, by kind. */
export function budgetsLeft(budgets: Budgets<BudgetKind>): ReadonlyMap<BudgetKind, number> {
  const left = new Map<BudgetKind, number>(BUDGET_KINDS.map((kind) => [kind, 1]));
  for (const level of budgets.levels(1)) left.set(level.subject.kind, level.left / level.of);
  return left;
}
