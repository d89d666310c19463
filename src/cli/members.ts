import { Option, type Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { MEMBERSHIPS } from "../model/membership.ts";
import { adminClient, allPages } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { checkedRoom, ROOM } from "./room-words.ts";
import { table } from "./text.ts";

const PAGE = 1000;

export function addMembers(program: Command, io: Io): void {
  program
    .command("members")
    .description("list a room's members as the ledger knows them")
    .argument("<room>", ROOM)
    .addOption(new Option("--membership <membership>", "only those with this membership").choices(MEMBERSHIPS))
    .option("--json", "print JSON")
    .action(async (room: string, options: { membership?: string; json?: true }, command: Command) => {
      const client = adminClient(command, io);
      const params = { room: checkedRoom(room) };
      const members = await allPages(async (after: string | null) => {
        const query = { membership: options.membership ?? null, limit: PAGE, after };
        const page = await client.call("members", { params, query });
        return { items: page.members, next: page.next };
      });
      if (options.json) outJson(io, members);
      else if (members.length === 0) io.err("No members that the ledger knows.");
      else io.out(memberTable(members, io.width));
    });
}

const COLUMNS = [
  { title: "USER", whole: true },
  { title: "MEMBERSHIP", whole: true },
  { title: "NAME" },
  { title: "", whole: true },
];

function memberTable(members: AdminAnswer<"members">["members"], width: number | null): string {
  const rows = members.map(({ user_id, membership, displayname, pseudouser }) => [
    user_id,
    membership,
    displayname,
    pseudouser ? "a pseudouser" : "",
  ]);
  return table(COLUMNS, rows, width);
}
