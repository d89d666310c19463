import type { Keeper } from "../keeper.ts";
import type { Recorder } from "../../ledger/recorder.ts";
import type { Clock } from "../../model/clock.ts";
import type { UserId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import { restUntil, workUntil } from "../../concurrency/worker.ts";
import { Budgets } from "../../policy/budgets.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { PolicyInputs } from "../../policy/inputs.ts";
import { ANSWER_BUDGETS, answerTo, type AnswerParts } from "./answer.ts";
import type { OwnInviteStore } from "../store/own-invites.ts";

/** Invites in one round; their answers are one commit. */
const BATCH = 200;
/** Longest sleep between two rounds: the clock may jump meanwhile. */
const LONGEST_SLEEP_MS = 60_000;
/** New invites wake the loop; the pause keeps it from looking at the old ones in a tight loop. */
const SHORTEST_SLEEP_MS = 1_000;
/** Pause before another look at an invite whose declining is under way or failed. */
const AGAIN_MS = 10 * 60_000;

export type OwnInviteOutcome = "declined" | "not-declined" | "left";

export interface OwnInvitesParts {
  readonly own: UserId;
  readonly store: Pick<OwnInviteStore, "due" | "nextDue" | "settle">;
  readonly keeper: Pick<Keeper, "decline">;
  readonly recorder: Pick<Recorder, "ownChanged">;
  readonly tenants: Pick<Tenants, "all">;
  readonly inputs: Pick<PolicyInputs, "ofInvite">;
  readonly setting: () => AnswerParts["setting"];
  readonly takesPart: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly count: (outcome: OwnInviteOutcome) => void;
}

/**
 * Answers invites of the pseudouser, until the signal aborts. Storage holds each invite with the time of its next
 * look. That time is moved on before anything is done, so a crash loses no invite, and a homeserver that does not
 * decline is not asked in a tight loop.
 */
export function answerOwnInvites(parts: OwnInvitesParts, abort: AbortSignal): Promise<void> {
  const { recorder, store, clock, log } = parts;
  const budgets = new Budgets(ANSWER_BUDGETS, clock);
  return workUntil(abort, {
    round: async () => {
      if (await answerDue(parts, budgets, abort)) return 0;
      const rest = restUntil(await store.nextDue(), clock);
      return rest === null ? null : Math.max(SHORTEST_SLEEP_MS, rest);
    },
    signals: [recorder.ownChanged],
    longest: LONGEST_SLEEP_MS,
    failed: (error) => log.error("invites.round-failed", { error }),
    clock,
  });
}

/** Returns true if the round was full. */
async function answerDue(
  parts: OwnInvitesParts,
  budgets: AnswerParts["budgets"],
  abort: AbortSignal,
): Promise<boolean> {
  const { own, store, keeper, setting, takesPart, tenants, inputs, clock, count } = parts;
  const now = clock.now();
  const due = await store.due(own, now, BATCH);
  if (due.length === 0) return false;
  const known = { setting: setting(), takesPart, tenants: tenants.all(), budgets };
  const answered = [];
  for (const invite of due) {
    const { roomId, canonicalAlias, inviter } = invite;
    const matches = await inputs.ofInvite(roomId, canonicalAlias === null ? [] : [canonicalAlias], inviter);
    answered.push({ invite, answer: answerTo(invite, now, { ...known, matches }) });
  }
  await store.settle(
    answered.map(({ invite, answer }) => ({
      invite,
      at: answer.act === "wait" ? answer.at : answer.act === "decline" ? now + AGAIN_MS : null,
    })),
  );
  for (const { invite, answer } of answered) {
    if (abort.aborted) break;
    if (answer.act === "leave") count("left");
    if (answer.act !== "decline") continue;
    const outcome = await keeper.decline(invite.roomId, answer.reason);
    if (outcome === "moot") continue;
    count(outcome === "done" ? "declined" : "not-declined");
    // Another try would not help.
    if (outcome === "refused") await store.settle([{ invite, at: null }]);
  }
  return due.length === BATCH;
}
