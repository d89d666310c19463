import type { Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { adminClient } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./room-words.ts";
import { neutral } from "./text.ts";

export function addUpgradeCheck(rooms: Command, io: Io): void {
  rooms
    .command("upgrade-check")
    .description("say what would change for a room that moves to MSC1777's room version, and what to do without it")
    .argument("<room>", ROOM)
    .option("--via <server>", "a server that is in the room, for one that ours does not know; repeat for more", gather)
    .option("--json", "print JSON")
    .action(async (room: string, { via = [], json }: { via?: string[]; json?: true }, command: Command) => {
      const params = { room: checkedRoom(room) };
      const answer = await adminClient(command, io).call("upgradeCheck", { params, query: { via } });
      if (json) outJson(io, answer);
      else io.out(render(answer));
    });
}

const STANDINGS = {
  moved: "has MSC1777's room version already",
  counts: "is public and world-readable, which counts as peekable in today's versions",
  closed: "does not count as peekable",
} as const;

function render({ room_id, standing, notes, today }: AdminAnswer<"upgradeCheck">): string {
  return [
    `${neutral(room_id)} ${STANDINGS[standing]}.`,
    "",
    ...notes.flatMap(({ topic, now, then }) => [neutral(topic), `  now   ${neutral(now)}`, `  then  ${neutral(then)}`]),
    "",
    ...(today.length === 0
      ? ["Without moving it there is nothing to do."]
      : ["To have the same in today's versions:", ...today.map((step) => `  ${neutral(step)}`)]),
  ].join("\n");
}
