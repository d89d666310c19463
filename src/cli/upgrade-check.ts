import type { Command } from "commander";
import type { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { upgradeCheckAnswer } from "./answers.ts";
import { outJson, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./room-words.ts";
import { neutral } from "./text.ts";

/** The daemon may ask another server. Milliseconds. */
const TIMEOUT = 60_000;

export function addUpgradeCheck(rooms: Command, io: Io): void {
  rooms
    .command("upgrade-check")
    .description("say what would change for a room that moves to MSC1777's room version, and what to do without it")
    .argument("<room>", ROOM)
    .option("--via <server>", "a server that is in the room, for one that ours does not know; repeat for more", gather)
    .option("--json", "print JSON")
    .action(async (room: string, { via = [], json }: { via?: string[]; json?: true }, command: Command) => {
      const path = ["rooms", checkedRoom(room), "upgrade-check"];
      const client = adminClient(command, io);
      const answer = await client.call({ path, query: { via }, timeout: TIMEOUT, answer: upgradeCheckAnswer });
      if (json) outJson(io, answer);
      else io.out(render(answer));
    });
}

const STANDINGS: Readonly<Record<string, string>> = {
  moved: "has MSC1777's room version already",
  counts: "is public and world-readable, which counts as peekable in today's versions",
  closed: "does not count as peekable",
};

function render({ room_id, standing, notes, today }: z.output<typeof upgradeCheckAnswer>): string {
  return [
    `${neutral(room_id)} ${STANDINGS[standing] ?? neutral(standing)}.`,
    "",
    ...notes.flatMap(({ topic, now, then }) => [neutral(topic), `  now   ${neutral(now)}`, `  then  ${neutral(then)}`]),
    "",
    ...(today.length === 0
      ? ["Without moving it there is nothing to do."]
      : ["To have the same in today's versions:", ...today.map((step) => `  ${neutral(step)}`)]),
  ].join("\n");
}
