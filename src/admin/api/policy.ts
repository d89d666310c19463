import { z } from "zod";
import { BUDGET_KINDS } from "../../policy/budget-subjects.ts";
import { ENTITY_KINDS } from "../../policy/rule.ts";
import { at, count, maybe, text, type Endpoint } from "./endpoint.ts";
import { routes } from "./rooms.ts";

const kind = z.enum(ENTITY_KINDS);
const verdict = z.enum(["allow", "deny"]);

const guard = z.object({
  rooms_attended: count,
  max_rooms: count,
  joins_under_way: count,
  max_joins_under_way: count,
  budgets: z.array(
    z.object({
      budget: z.enum(BUDGET_KINDS),
      joins: count,
      per_ms: count,
      levels: z
        .array(z.object({ payer: text.describe("a user's is a hash"), left: z.number() }))
        .describe("the ten payers that have the least left"),
    }),
  ),
  cool_downs: z.record(text, count).describe("rooms that are kept away from, by the reason"),
});

const rule = z.object({
  kind,
  entity: text.describe("an ID, an alias or a glob"),
  verdict,
  reason: maybe,
  stands_for: maybe.optional().describe("of an exception by one alias: the room, or null for none"),
  moved: z.boolean().optional().describe("whether the alias points elsewhere now"),
  moved_to: maybe.optional(),
});

const policy = guard.extend({
  max_members: count,
  max_event_rate: z.number().describe("events a second in one room"),
  refuse_versions: z.array(text),
  own_invites: text,
  lists: z.array(text),
  list_rooms: z.array(
    z.object({
      room_id: text,
      read_at: at.nullable().describe("since the start"),
      failures: count.describe("tries that failed since"),
      alias: maybe.describe("by which it is configured, where that points elsewhere now"),
      moved_to: maybe,
    }),
  ),
  rules: z
    .array(
      z.object({
        source: text.describe("`config`, `operator`, or the room of a policy list"),
        allow: count.describe("how many"),
        deny: count.describe("how many"),
        rules: z.array(rule).describe("the first 500 of the configuration's and the operator's"),
        set_aside: count.describe("not heeded, because too many globs look alike"),
      }),
    )
    .describe("by source"),
});

export const POLICY_SCHEMAS = { Caps: guard, Policy: policy, Rule: rule };

export const POLICY_ENDPOINTS = {
  policy: {
    method: "GET",
    path: "/policy",
    note: "tells caps, budgets, cool-downs, and the rules by source",
    answer: policy,
  },
  explain: {
    method: "GET",
    path: "/policy/explain",
    note: "says what every rule has to say of a room; asks the homeserver anew, and changes nothing",
    query: z.object({
      room: text.default("").describe("ID or alias"),
      for: text
        .default("user")
        .describe("`user`, `tenant:ID`, `tenant` where there is one only, `alias`, `invite` or `operator`"),
      via: routes,
    }),
    answer: z.object({
      room_id: text,
      alias: maybe,
      for: text,
      verdict: z.object({ allowed: z.boolean(), code: text, reason: text, retry_after_ms: z.number().nullable() }),
      rules: z
        .array(
          z.object({
            code: text,
            verdict: z
              .enum(["passes", "spared", "refuses"])
              .describe("`spared`: it would refuse, and somebody's word stands above it"),
            reason: text,
            inputs: z.record(text, z.unknown()).describe("what it looked at"),
          }),
        )
        .describe("in the order in which they are asked"),
    }),
    patience: 90_000,
  },
  ruleSet: {
    method: "POST",
    path: "/policy/rules",
    note: "sets the operator's one rule about an entity",
    body: {
      schema: z.strictObject({ kind, entity: text, verdict, reason: maybe.default(null) }),
      fault: (issues) => `This is no rule: ${issues}.`,
    },
    answer: z.object({
      outcome: z.enum(["added", "changed", "unchanged"]),
      stands_for: text.optional().describe("of an exception by alias: the room that it points to"),
    }),
  },
  ruleRemove: {
    method: "DELETE",
    path: "/policy/rules/:kind/:entity",
    note: "takes the operator's rule back",
    answer: z.object({ removed: z.literal(true) }),
  },
} as const satisfies Record<string, Endpoint>;
