import { serverOf } from "../../model/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Budgets, BudgetSubject } from "../../policy/budgets.ts";
import { addresseeOf } from "../../policy/invites.ts";
import { isDenied, isRoomAllowed } from "../../policy/checks.ts";
import type { RuleMatch } from "../../policy/rule.ts";
import type { OwnInvite } from "../store/own-invites.ts";

export type InviteAnswer =
  | { readonly act: "decline"; readonly reason: string }
  /** Look at it again at that time. */
  | { readonly act: "wait"; readonly at: number }
  /** Do not answer it; it is removed after a while (ledger/cleaning.ts). */
  | { readonly act: "leave" };

export const ANSWER_BUDGET_KINDS = ["declined-server", "declined-all", "waiting-server", "waiting-all"] as const;
export type AnswerBudgetKind = (typeof ANSWER_BUDGET_KINDS)[number];

const HOUR_MS = 60 * 60_000;
/** Invites that are declined or kept waiting, by server and in all. Others cost us only their row. */
export const ANSWER_BUDGETS = {
  "declined-server": { joins: 20, per: HOUR_MS },
  "declined-all": { joins: 200, per: HOUR_MS },
  "waiting-server": { joins: 100, per: HOUR_MS },
  "waiting-all": { joins: 1_000, per: HOUR_MS },
} as const;

/** How long an invite waits for its tenant, or for the operator to allow the room. */
export const AWAITED_MS = 7 * 24 * HOUR_MS;
/** How long an invite from an upgrade waits for the tombstone. Then the upgrade's own lease answers it. */
export const UPGRADE_AWAITED_MS = 24 * HOUR_MS;
/** How often to check whether a room with an open invite has a lease. */
const HELD_MS = 10 * 60_000;
/** Local users may be invited with us or a moment later. Their lease needs our invite, so declining waits. */
export const TOGETHER_MS = 15_000;

/** The reason that the inviter sees. A denied inviter learns no more than this. */
export const REASON =
  "This is a server's own account and not a person. It joins rooms for those who use it; an invite has to name the service that it is for.";
export const DENIED_REASON = "Invites are not accepted.";

export interface AnswerParts {
  readonly setting: "decline" | "block" | "keep";
  /** Whether invites of local users make us take part (invites.take_part). */
  readonly takesPart: boolean;
  readonly tenants: readonly Tenant[];
  /** The rules that match the room or the inviter. */
  readonly matches: readonly RuleMatch[];
  readonly budgets: Budgets<AnswerBudgetKind>;
}

/** Decides, and charges the inviting server for the answer. An invite alone never leads to a join. */
export function answerTo(invite: OwnInvite, now: number, parts: AnswerParts): InviteAnswer {
  const { setting, takesPart, tenants, matches, budgets } = parts;
  if (invite.isHeld) return { act: "wait", at: now + HELD_MS };
  const { roomId, inviter, at } = invite;
  const server = serverOf(inviter);
  const leave = { act: "leave" } as const;
  /** Gives the answer if the budgets of this kind suffice. */
  const paid = (verb: "declined" | "waiting", answer: InviteAnswer): InviteAnswer => {
    const subjects: readonly BudgetSubject<AnswerBudgetKind>[] = [
      { kind: `${verb}-server`, name: server },
      { kind: `${verb}-all`, name: "" },
    ];
    return budgets.pay(subjects) === null ? answer : leave;
  };
  const decline = (reason: string): InviteAnswer =>
    setting === "keep" ? leave : paid("declined", { act: "decline", reason });
  if (isDenied(matches)) return decline(DENIED_REASON);
  const isAwaited = isRoomAllowed(matches) || addresseeOf(invite.reason, roomId, tenants) !== null;
  // An invite from the future is from before the clock was set back.
  const patience = isAwaited ? AWAITED_MS : invite.isOfUpgrade ? UPGRADE_AWAITED_MS : takesPart ? TOGETHER_MS : 0;
  const until = Math.min(at, now) + patience;
  if (until <= now) return decline(REASON);
  const wait = { act: "wait", at: until } as const;
  return isAwaited || invite.isOfUpgrade ? paid("waiting", wait) : wait;
}
