import type { Command } from "commander";
import { adminClient } from "./admin-client.ts";
import type { Io } from "./io.ts";
import { RULE_ARGUMENT, subjectOf } from "./policy-words.ts";
import { neutral } from "./text.ts";

const COMMANDS = {
  allow: { does: "make an exception from what is denied, by a rule that outlives a restart", done: "allowed" },
  deny: {
    does: "keep out of rooms, and leave those that the pseudouser is in, by a rule that outlives a restart",
    done: "denied",
  },
} as const;

/** The operator's own rules. They take effect at once. */
export function addPolicyRules(group: Command, io: Io): void {
  for (const verdict of ["allow", "deny"] as const) {
    group
      .command(verdict)
      .description(COMMANDS[verdict].does)
      .argument("<what...>", RULE_ARGUMENT)
      .option("--reason <text>", "why; refusals quote it")
      .action(async (what: string[], { reason }: { reason?: string }, command: Command) => {
        const { kind, entity } = subjectOf(what);
        const { outcome, stands_for } = await adminClient(command, io).call("ruleSet", {
          body: { kind, entity, verdict, reason: reason ?? null },
        });
        const how =
          outcome === "changed" ? ", in place of the rule there was" : outcome === "unchanged" ? " already" : "";
        io.out(`The ${kind} ${neutral(entity)} is ${COMMANDS[verdict].done}${how}.`);
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
