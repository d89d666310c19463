import type { Command } from "commander";
import type { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { explainAnswer } from "./answers.ts";
import { CommandFailed, EXIT } from "./exit.ts";
import { outJson, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./room-words.ts";
import { facts } from "./table.ts";
import { neutral, spoken } from "./text.ts";

/** The homeserver may ask another one, which may be silent: longer than it waits for that, in milliseconds. */
const EXPLAIN_TIMEOUT = 90_000;

type Explanation = z.output<typeof explainAnswer>;

export function addPolicyExplain(group: Command, io: Io): void {
  group
    .command("explain")
    .description("say what every rule has to say of a room, as it is now; changes nothing")
    .argument("<room>", ROOM)
    .option("--for <holder>", "who would have the pseudouser there: user, tenant:ID, alias, invite or operator", "user")
    .option("--via <server>", "a server to ask through, for a room that ours does not know; repeat for more", gather)
    .option("--json", "print JSON")
    .action(async (room: string, options: { for: string; via?: string[]; json?: true }, command: Command) => {
      const explanation = await adminClient(command, io).call({
        path: ["policy", "explain"],
        query: { room: checkedRoom(room), for: options.for, via: options.via ?? [] },
        timeout: EXPLAIN_TIMEOUT,
        answer: explainAnswer,
      });
      if (options.json) outJson(io, explanation);
      else io.out(render(explanation));
      if (!explanation.verdict.allowed) throw new CommandFailed(EXIT.refused, "");
    });
}

function render({ room_id, alias, for: holder, verdict, rules }: Explanation): string {
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
