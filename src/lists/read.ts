import type { RoomStates } from "../ledger/loading/homeserver-states.ts";
import type { RoomId } from "../model/ids.ts";
import { ruleIn } from "../policy/policy-list.ts";
import type { PolicyRule } from "../policy/rule.ts";

/** Most rules kept of one list. The largest lists in use have a few thousand. */
export const MAX_LIST_RULES = 100_000;

export interface ListRead {
  readonly rules: readonly PolicyRule[];
  /** Number of rules beyond that, which are not kept. */
  readonly leftOut: number;
}

/**
 * Reads a list's rules from its room's full state. Events with the same rule are merged.
 * @throws EmissaryError if the homeserver does not return the state
 */
export async function readList(
  states: RoomStates,
  room: RoomId,
  abort: AbortSignal,
  most = MAX_LIST_RULES,
): Promise<ListRead> {
  const rules = new Map<string, PolicyRule>();
  let leftOut = 0;
  for await (const part of states.stream(room, abort)) {
    for (const event of part) {
      const rule = ruleIn(event, room);
      const key = rule === null ? null : `${rule.kind}\n${Number(rule.hashed)}\n${rule.entity}`;
      if (rule === null || key === null || rules.has(key)) continue;
      if (rules.size >= most) leftOut += 1;
      else rules.set(key, rule);
    }
  }
  return { rules: [...rules.values()], leftOut };
}
