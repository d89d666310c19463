import type { Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { adminClient } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { addPolicyExplain } from "./policy-explain.ts";
import { addPolicyRules } from "./policy-rules.ts";
import { coolDownText, payerText } from "./policy-words.ts";
import { facts, table, type Cell, moment, spoken } from "./text.ts";

type PolicyAnswer = AdminAnswer<"policy">;
type Rule = PolicyAnswer["rules"][number]["rules"][number];

export function addPolicy(program: Command, io: Io): void {
  const group = program.command("policy").description("see, explain and change which rooms the pseudouser may be in");
  group
    .command("show")
    .description("show limits, budgets and rules, and how much of them is used")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }, command: Command) => {
      const policy = await adminClient(command, io).call("policy");
      if (options.json) outJson(io, policy);
      else io.out(render(policy, io.width));
    });
  addPolicyExplain(group, io);
  addPolicyRules(group, io);
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
  const rules = policy.rules.flatMap(({ source, rules: of }) =>
    of.map(({ kind, entity, verdict, reason }): Cell[] => [verdict, kind, entity, source, reason]),
  );
  return rules.length === 0 ? above : `${above}\n\n${table(COLUMNS, rules, width)}`;
}

const COLUMNS = [
  { title: "RULE", whole: true },
  { title: "KIND", whole: true },
  { title: "GLOB", whole: true },
  { title: "OF", whole: true },
  { title: "REASON" },
];

function budgetFacts({ budget, joins, per_ms, levels }: PolicyAnswer["budgets"][number]): [string, string][] {
  const whole = `${joins} joins in ${spoken(per_ms)}`;
  return [
    [`budget ${budget}`, levels.length === 0 ? `${whole}, none used` : whole],
    ...levels.map(({ payer, left }): [string, string] => [
      "",
      `${payerText(budget, payer)} has ${Math.floor(left)} left`,
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
