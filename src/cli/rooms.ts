import type { Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { adminClient, allPages } from "./admin-client.ts";
import { outJson, type Io } from "./io.ts";
import { checkedRoom, gather, ROOM } from "./room-words.ts";
import { facts, table, type Column, moment, neutral } from "./text.ts";
import { addUpgradeCheck } from "./upgrade-check.ts";

const PAGE = 500;

type Room = AdminAnswer<"room">;

export function addRooms(program: Command, io: Io): void {
  const rooms = program.command("rooms").description("see, join and leave rooms");

  rooms
    .command("list")
    .description("list the rooms that Emissary knows")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }, command: Command) => {
      const client = adminClient(command, io);
      const list = await allPages(async (after: string | null) => {
        const page = await client.call("rooms", { query: { limit: PAGE, after } });
        return { items: page.rooms, next: page.next };
      });
      if (options.json) outJson(io, list);
      else if (list.length === 0) io.err("No rooms. `emissary rooms join ROOM` joins one.");
      else io.out(roomTable(list, io.width));
    });

  rooms
    .command("show")
    .description("show one room, and who keeps the pseudouser there")
    .argument("<room>", ROOM)
    .option("--json", "print JSON")
    .action(async (room: string, options: { json?: true }, command: Command) => {
      const client = adminClient(command, io);
      const answer = await client.call("room", { params: { room: checkedRoom(room) } });
      if (options.json) outJson(io, answer);
      else io.out(render(answer));
    });

  rooms
    .command("join")
    .description("have the pseudouser join a room, and stay until `rooms leave`")
    .argument("<room>", ROOM)
    .option("--via <server>", "a server to join through, for a room that ours does not know; repeat for more", gather)
    .action(async (room: string, { via = [] }: { via?: string[] }, command: Command) => {
      const client = adminClient(command, io);
      const params = { room: checkedRoom(room) };
      const { room_id, phase } = await client.call("roomJoin", { params, body: { via } });
      io.out(`${neutral(room_id)}: ${neutral(phase)}`);
    });

  rooms
    .command("leave")
    .description("give up the operator's own reason to be in a room")
    .argument("<room>", ROOM)
    .action(async (room: string, _options: object, command: Command) => {
      const client = adminClient(command, io);
      const answer = await client.call("roomLeave", { params: { room: checkedRoom(room) } });
      io.out(neutral(leaveSentence(answer)));
    });

  addUpgradeCheck(rooms, io);
}

function leaveSentence({ room_id, released, holders }: AdminAnswer<"roomLeave">): string {
  const first = released ? "the operator's lease has ended" : "the operator had no lease";
  if (holders.length > 0) return `${room_id}: ${first}; the pseudouser stays because of ${holders.join(", ")}`;
  return `${room_id}: ${first}; nobody holds the room, so the pseudouser leaves after the linger time`;
}

const GAPS = {
  filling: "what was said while the pseudouser was not there is being fetched",
  open: "what was said while the pseudouser was not there is missing: no server gave it",
} as const;

const COLUMNS: readonly Column[] = [
  { title: "ROOM", whole: true },
  { title: "NAME" },
  { title: "PHASE", whole: true },
  { title: "MEMBERS", right: true },
  { title: "HELD BY" },
  { title: "REASON" },
];

function roomTable(rooms: AdminAnswer<"rooms">["rooms"], width: number | null): string {
  const rows = rooms.map((room) => [
    room.room_id,
    room.name ?? room.canonical_alias,
    room.phase,
    room.joined_members,
    listed(room.leases.map(({ holder }) => holder)),
    room.reason,
  ]);
  return table(COLUMNS, rows, width);
}

function render(room: Room): string {
  const leases = room.leases.map(({ holder, taken_at, expires_at }): [string, string] => [
    "lease",
    `${holder}, since ${moment(taken_at)}${expires_at === null ? "" : `, until ${moment(expires_at)}`}`,
  ]);
  const why = room.reason ?? room.code;
  return facts([
    ["room", room.room_id],
    ["name", room.name],
    ["alias", room.canonical_alias],
    ["phase", `${room.phase}, since ${moment(room.since)}`],
    ...(why === null ? [] : ([["reason", room.code === null ? why : `${why} (${room.code})`]] as const)),
    ["own membership", room.own_membership],
    ["members", listed(Object.entries(room.members).map(([membership, count]) => `${count} ${membership}`))],
    ["state", room.load],
    ...(room.gap === "none" ? [] : ([["gap", GAPS[room.gap]]] as const)),
    ["version", room.version],
    ["type", room.room_type],
    ["join rule", room.join_rule],
    ["history", room.history_visibility],
    ["encryption", room.encryption],
    ["predecessor", room.predecessor],
    ["replacement", room.replacement],
    ["via", listed(room.via)],
    ...(room.invited_by === null ? [] : ([["invited by", room.invited_by]] as const)),
    ...(room.cool_down === null ? [] : ([["shunned", shunned(room.cool_down)]] as const)),
    ...(leases.length === 0 ? ([["lease", "none"]] as const) : leases),
  ]);
}

function shunned({ code, reason, until }: NonNullable<Room["cool_down"]>): string {
  return `until ${moment(until)}: ${reason} (${code})`;
}

function listed(items: readonly string[]): string | null {
  return items.length === 0 ? null : items.join(", ");
}
