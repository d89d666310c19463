/** Shared by the commands on policy: parses kinds and globs, and formats budget subjects and cool-downs. */
import type { StatusAnswer } from "../admin/api/daemon.ts";
import { faultInEntity } from "../policy/entities.ts";
import { ENTITY_KINDS, type EntityKind } from "../policy/rule.ts";
import { wrongUsage } from "./io.ts";
import { neutral } from "./text.ts";

export const RULE_ARGUMENT =
  "what it is about, of room, server, user and tenant, and a glob; the kind may be left out before !…, #… and @…";

/** Characters shown of a user's name, which is a hash. */
const HASH_SHOWN = 8;
/** Fraction of a cap from which its usage gets a line. */
const NEAR = 0.8;

export interface RuleSubject {
  readonly kind: EntityKind;
  readonly entity: string;
}

/** @throws CommandFailed if the words name no kind, or no glob that can match it */
export function subjectOf(words: readonly string[]): RuleSubject {
  const [first = "", second] = words;
  if (words.length > 2) throw wrongUsage("A rule is about one kind and one glob. A shell needs quotes around a glob.");
  const entity = second ?? first;
  const kind = second === undefined ? kindBy(first) : ENTITY_KINDS.find((one) => one === first);
  if (kind === undefined) {
    const shown = neutral(JSON.stringify(first.slice(0, 80)));
    throw wrongUsage(
      second === undefined
        ? `Say what ${shown} is: ${ENTITY_KINDS.join(", ")}, as in \`emissary policy deny server GLOB\`.`
        : `${shown} is no kind: there are ${ENTITY_KINDS.join(", ")}.`,
    );
  }
  const fault = faultInEntity(kind, entity);
  if (fault !== null) throw wrongUsage(`This is no rule: ${neutral(fault)}.`);
  return { kind, entity };
}

/** `user 3f9a01bc…`; users appear as their hash. */
export function payerText(budget: string, payer: string): string {
  if (budget === "all") return "all together";
  return `${budget} ${budget === "user" && payer.length > HASH_SHOWN ? `${payer.slice(0, HASH_SHOWN)}…` : payer}`;
}

/** `2 flooded, 1 put-out`; null if there are none. */
export function coolDownText(counts: Readonly<Record<string, number>>): string | null {
  const parts = Object.entries(counts).map(([code, rooms]) => `${rooms} ${code}`);
  return parts.length === 0 ? null : parts.join(", ");
}

/** Returns the lines of `status` about caps that are nearly used up. */
export function guardLines(guard: StatusAnswer["policy"]): [string, string][] {
  const caps: [number, number, string][] = [
    [guard.rooms_attended, guard.max_rooms, "rooms (policy.max_rooms)"],
    [guard.joins_under_way, guard.max_joins_under_way, "joins under way (policy.max_joins_under_way)"],
  ];
  const near = caps.filter(([used, cap]) => used >= cap * NEAR).map(([used, cap, what]) => `${used} of ${cap} ${what}`);
  const spent = guard.budgets.flatMap(({ budget, joins, levels }) =>
    levels
      .filter(({ left }) => joins - left >= joins * NEAR)
      .map(({ payer, left }) => `${payerText(budget, payer)}: ${Math.floor(left)} of ${joins} joins left`),
  );
  const away = coolDownText(guard.cool_downs);
  return [
    ...[...near, ...spent].map((text): [string, string] => ["near a cap", text]),
    ...(away === null ? [] : ([["rooms shunned", away]] satisfies [string, string][])),
  ];
}

function kindBy(glob: string): EntityKind | undefined {
  if (/^[!#]/.test(glob)) return "room";
  return glob.startsWith("@") ? "user" : undefined;
}
