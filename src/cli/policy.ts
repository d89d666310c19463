import type { Command } from "commander";
import type { StatusAnswer } from "../admin/api/daemon.ts";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { faultInEntity } from "../policy/entities.ts";
import { ENTITY_KINDS, type EntityKind } from "../policy/rule.ts";
import { adminClient, shows } from "./admin-client.ts";
import { CommandFailed, EXIT, jsonText, wrongUsage, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./rooms.ts";
import { facts, known, listing, moment, neutral, spoken, type Cell, type ColumnOf } from "./text.ts";

type PolicyAnswer = AdminAnswer<"policy">;
type Rule = PolicyAnswer["rules"][number]["rules"][number];
type Explanation = AdminAnswer<"explain">;

const RULES = {
  allow: { does: "make an exception from what is denied, by a rule that outlives a restart", done: "allowed" },
  deny: {
    does: "keep out of rooms, and leave those that the pseudouser is in, by a rule that outlives a restart",
    done: "denied",
  },
} as const;

export function addPolicy(program: Command, io: Io): void {
  const group = program.command("policy").description("see, explain and change which rooms the pseudouser may be in");
  shows(
    group.command("show").description("show limits, budgets and rules, and how much of them is used"),
    io,
    (daemon) => daemon().call("policy"),
    (policy) => render(policy, io.width),
  );

  group
    .command("explain")
    .description("say what every rule has to say of a room, as it is now; changes nothing")
    .argument("<room>", ROOM)
    .option("--for <holder>", "who would have the pseudouser there: user, tenant:ID, alias, invite or operator", "user")
    .option("--via <server>", "a server to ask through, for a room that ours does not know; repeat for more", gather)
    .option("--json", "print JSON")
    .action(async (room: string, options: { for: string; via?: string[]; json?: true }, command: Command) => {
      const explanation = await adminClient(command, io).call("explain", {
        query: { room: checkedRoom(room), for: options.for, via: options.via ?? [] },
      });
      io.out(options.json ? jsonText(explanation) : renderExplanation(explanation));
      if (!explanation.verdict.allowed) throw new CommandFailed(EXIT.refused, "");
    });

  // The operator's own rules. They take effect at once.
  for (const verdict of ["allow", "deny"] as const) {
    group
      .command(verdict)
      .description(RULES[verdict].does)
      .argument("<what...>", RULE_ARGUMENT)
      .option("--reason <text>", "why; refusals quote it")
      .action(async (what: string[], { reason }: { reason?: string }, command: Command) => {
        const { kind, entity } = subjectOf(what);
        const { outcome, stands_for } = await adminClient(command, io).call("ruleSet", {
          body: { kind, entity, verdict, reason: reason ?? null },
        });
        const how = { added: "", changed: ", in place of the rule there was", unchanged: " already" }[outcome];
        io.out(`The ${kind} ${neutral(entity)} is ${RULES[verdict].done}${how}.`);
        if (stands_for !== undefined)
          io.out(`This is for ${neutral(stands_for)}, for as long as the alias points there.`);
      });
  }

  group
    .command("remove")
    .description("take a rule of `policy allow` or `policy deny` back")
    .argument("<what...>", RULE_ARGUMENT)
    .action(async (what: string[], _options: object, command: Command) => {
      const { kind, entity } = subjectOf(what);
      await adminClient(command, io).call("ruleRemove", { params: { kind, entity } });
      io.out(`The rule about the ${kind} ${neutral(entity)} is removed.`);
    });
}

const RULE_ARGUMENT =
  "what it is about, of room, server, user and tenant, and a glob; the kind may be left out before !…, #… and @…";

/** Characters shown of a user's name, which is a hash. */
const HASH_SHOWN = 8;
/** Fraction of a cap from which its usage gets a line. */
const NEAR = 0.8;

interface RuleSubject {
  readonly kind: EntityKind;
  readonly entity: string;
}

/** @throws CommandFailed if the words name no kind, or no glob that can match it */
function subjectOf(words: readonly string[]): RuleSubject {
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

function render(policy: PolicyAnswer, width: number | null): string {
  const above = facts([
    ["rooms", `${policy.rooms_attended} of ${policy.max_rooms}`],
    ["joins under way", `${policy.joins_under_way} of ${policy.max_joins_under_way}`],
    ["members", `at most ${policy.max_members} in a room`],
    ["events", `at most ${policy.max_event_rate} a second in a room`],
    ["versions", policy.refuse_versions.length === 0 ? "all" : `all but ${policy.refuse_versions.join(", ")}`],
    ["own invites", policy.own_invites],
    ["kept away from", coolDownText(policy.cool_downs) ?? "no room"],
    ...policy.budgets.flatMap(budgetFacts),
    ["policy lists", policy.lists.length === 0 ? "none" : policy.lists.join(", ")],
    ...policy.list_rooms.map(listFact),
    ...policy.rules.flatMap(({ rules }) => rules.flatMap(exceptionFact)),
    ...policy.rules.map(({ source, allow, deny, set_aside }) => {
      const aside = set_aside === 0 ? "" : `; ${set_aside} of them are not heeded: too many globs look alike`;
      return ["rules", `${source}: ${deny} deny, ${allow} allow${aside}`] as const;
    }),
  ]);
  const rules = policy.rules.flatMap(({ source, rules: of }) => of.map((rule) => ({ ...rule, source })));
  return rules.length === 0 ? above : `${above}\n\n${listing(COLUMNS, rules, width)}`;
}

const COLUMNS: readonly ColumnOf<Rule & { readonly source: string }>[] = [
  { title: "RULE", whole: true, of: ({ verdict }) => verdict },
  { title: "KIND", whole: true, of: ({ kind }) => kind },
  { title: "GLOB", whole: true, of: ({ entity }) => entity },
  { title: "OF", whole: true, of: ({ source }) => source },
  { title: "REASON", of: ({ reason }) => reason },
];

function budgetFacts({ budget, joins, per_ms, levels }: PolicyAnswer["budgets"][number]): [string, string][] {
  const whole = `${joins} joins in ${spoken(per_ms)}`;
  return [
    [`budget ${budget}`, levels.length === 0 ? `${whole}, none used` : whole],
    ...levels.map(({ payer, left }): [string, string] => [
      "",
      `${subjectText(budget, payer)} has ${Math.floor(left)} left`,
    ]),
  ];
}

/** What an exception by an alias covers. */
function exceptionFact({ entity, stands_for, moved, moved_to }: Rule): [string, string][] {
  if (stands_for === undefined) return [];
  const counts =
    stands_for === null
      ? "counts for no room: it is not known which one was meant (emissary policy allow)"
      : moved === true
        ? `counts for nothing: it was made for ${stands_for}, and points to ${moved_to ?? "no room"} now (emissary policy allow confirms it)`
        : `counts for ${stands_for}, while it points there`;
  return [["exception", `${entity} ${counts}`]];
}

function listFact({
  room_id,
  read_at,
  failures,
  alias,
  moved_to,
}: PolicyAnswer["list_rooms"][number]): readonly [string, string] {
  const read = read_at === null ? "not read yet" : `read at ${moment(read_at)}`;
  const moved =
    moved_to == null
      ? ""
      : `; ${alias ?? "its alias"} points to ${moved_to} now, which is no list until policy.lists names its ID`;
  return ["", `${room_id}: ${read}${failures === 0 ? "" : `; ${failures} tries failed since`}${moved}`];
}

function renderExplanation({ room_id, alias, for: holder, verdict, rules }: Explanation): string {
  const { allowed, code, reason, retry_after_ms: wait } = verdict;
  const later = wait === null ? "" : `; ask again in ${spoken(wait)}`;
  const widest = Math.max(0, ...rules.map((rule) => rule.code.length));
  return [
    facts([
      ["room", alias === null ? room_id : `${room_id}, ${alias}`],
      ["for", holder],
    ]),
    ...rules.map((rule) => {
      const inputs = Object.entries(rule.inputs).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
      return neutral(
        `${rule.verdict.padEnd("refuses".length)}  ${rule.code.padEnd(widest)}  ${rule.reason} (${inputs.join(", ")})`,
      );
    }),
    neutral(allowed ? `allowed: ${reason}` : `refused (${code}): ${reason}${later}`),
  ].join("\n");
}

/** `user 3f9a01bc…`; users appear as their hash. */
function subjectText(budget: string, name: string): string {
  if (budget === "all") return "all together";
  return `${budget} ${budget === "user" && name.length > HASH_SHOWN ? `${name.slice(0, HASH_SHOWN)}…` : name}`;
}

/** `2 flooded, 1 put-out`; null if there are none. */
function coolDownText(counts: Readonly<Record<string, number>>): string | null {
  const parts = Object.entries(counts).map(([code, rooms]) => `${rooms} ${code}`);
  return parts.length === 0 ? null : parts.join(", ");
}

/** Returns the lines of `status` about caps that are nearly used up. */
export function guardLines(guard: StatusAnswer["policy"]): (readonly [string, Cell])[] {
  const caps: [number, number, string][] = [
    [guard.rooms_attended, guard.max_rooms, "rooms (policy.max_rooms)"],
    [guard.joins_under_way, guard.max_joins_under_way, "joins under way (policy.max_joins_under_way)"],
  ];
  const near = caps.filter(([used, cap]) => used >= cap * NEAR).map(([used, cap, what]) => `${used} of ${cap} ${what}`);
  const spent = guard.budgets.flatMap(({ budget, joins, levels }) =>
    levels
      .filter(({ left }) => joins - left >= joins * NEAR)
      .map(({ payer, left }) => `${subjectText(budget, payer)}: ${Math.floor(left)} of ${joins} joins left`),
  );
  return [
    ...[...near, ...spent].map((text) => ["near a cap", text] as const),
    ...known("rooms shunned", coolDownText(guard.cool_downs)),
  ];
}

function kindBy(glob: string): EntityKind | undefined {
  if (/^[!#]/.test(glob)) return "room";
  return glob.startsWith("@") ? "user" : undefined;
}
