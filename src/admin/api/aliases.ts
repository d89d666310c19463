import { z } from "zod";
import { ALIAS_STATES } from "../../aliases/alias.ts";
import { isRoomAlias, isRoomId } from "../../model/ids.ts";
import { afterOf, at, limitOf, maybe, next, text, type Endpoint, type DeepReadonly } from "./endpoint.ts";

const repair = z.discriminatedUnion("act", [
  z.strictObject({
    act: z.literal("point"),
    room_id: text.refine(isRoomId),
    by: z
      .enum(["replaced", "named"])
      .describe("the old room's tombstone names it; it calls itself by the alias, which any room can"),
  }),
  z.strictObject({ act: z.literal("remove") }),
]);

const alias = z.object({
  alias: text,
  room_id: text.describe("where it points"),
  state: z.enum(ALIAS_STATES),
  code: maybe,
  reason: maybe.describe("why it is not kept"),
  since: at,
  checked_at: at,
  empty_since: at.nullable().describe("since when no ordinary user has been in the room"),
  repair: repair.nullable().describe("what can be done about it"),
  advice: maybe.describe("a sentence"),
});
export type AliasAnswer = DeepReadonly<z.output<typeof alias>>;

export const ALIAS_SCHEMAS = { Alias: alias, Repair: repair };

export const ALIAS_ENDPOINTS = {
  aliases: {
    method: "GET",
    path: "/aliases",
    note: "lists the aliases of this server, in their order",
    query: z.object({ after: afterOf(isRoomAlias, "a room alias"), limit: limitOf(100) }),
    answer: z.object({
      keep: z.boolean().describe("false: nothing is done for aliases (aliases.keep)"),
      sweep: z.object({
        running: z.boolean(),
        finished_at: at.nullable(),
        failure: maybe.describe("what broke the newest off"),
        next_at: at.nullable(),
      }),
      aliases: z.array(alias),
      next,
    }),
  },
  aliasSweep: {
    method: "POST",
    path: "/aliases/sweep",
    note: "has all of them looked at, and does not wait for it",
    answer: z.object({ sweeping: z.literal(true) }),
  },
  aliasRepair: {
    method: "POST",
    path: "/aliases/:alias/repair",
    note: "does what the list says in the alias's `repair`, and waits up to 60 seconds; `M_BAD_STATE` where the alias does not need it any more",
    body: { schema: repair, fault: () => "The body must be the `repair` that the list of aliases shows." },
    answer: z.object({ alias: text, done: z.literal(true) }),
    patience: 120_000,
  },
} as const satisfies Record<string, Endpoint>;
