import type { Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { adminClient } from "./admin-client.ts";
import { CommandFailed, EXIT, outJson, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./room-words.ts";
import { facts, neutral, spoken } from "./text.ts";

type Explanation = AdminAnswer<"explain">;

export function addPolicyExplain(group: Command, io: Io): void {
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
