import { Option, type Command } from "commander";
import type { AdminAnswer } from "../admin/api/endpoints.ts";
import { isRoomAlias, isRoomId, isServerName } from "../model/ids.ts";
import { MEMBERSHIPS } from "../model/membership.ts";
import { allPages, says, shows } from "./admin-client.ts";
import { wrongUsage, type Io } from "./io.ts";
import { facts, known, listing, moment, neutral, type ColumnOf } from "./text.ts";

const PAGE = 500;
const MEMBERS_PAGE = 1000;

export const ROOM = "room ID (!…) or alias (#…:server)";

type Room = AdminAnswer<"room">;
type RoomInList = AdminAnswer<"rooms">["rooms"][number];
type Member = AdminAnswer<"members">["members"][number];
interface Via {
  via?: string[];
}

/** Returns the room as given. Throws for wrong usage if it is neither an ID nor an alias. */
export function checkedRoom(room = ""): string {
  if (isRoomId(room) || isRoomAlias(room)) return room;
  throw wrongUsage(`${JSON.stringify(room)} is no ${ROOM}. A shell needs quotes around either.`);
}

/** Collects the server names of a repeatable option. */
export function gather(server: string, before: readonly string[] = []): string[] {
  if (isServerName(server)) return [...before, server];
  throw wrongUsage(`--via: ${JSON.stringify(server)} is no server name, such as example.org`);
}

export function addRooms(program: Command, io: Io): void {
  const rooms = program.command("rooms").description("see, join and leave rooms");
  const add = (name: string, does: string): Command => rooms.command(name).description(does).argument("<room>", ROOM);

  shows(
    rooms.command("list").description("list the rooms that Emissary knows"),
    io,
    (daemon) => {
      const client = daemon();
      return allPages(async (after: string | null) => {
        const page = await client.call("rooms", { query: { limit: PAGE, after } });
        return { items: page.rooms, next: page.next };
      });
    },
    (list) => listing(ROOMS, list, io.width),
    "No rooms. `emissary rooms join ROOM` joins one.",
  );
  shows(
    add("show", "show one room, and who keeps the pseudouser there"),
    io,
    (daemon, _options, room) => daemon().call("room", { params: { room: checkedRoom(room) } }),
    render,
  );
  says<Via>(
    add("join", "have the pseudouser join a room, and stay until `rooms leave`").option(
      "--via <server>",
      "a server to join through, for a room that ours does not know; repeat for more",
      gather,
    ),
    io,
    async (daemon, { via = [] }, room) => {
      const client = daemon();
      const call = { params: { room: checkedRoom(room) }, body: { via } };
      const { room_id, phase } = await client.call("roomJoin", call);
      return `${neutral(room_id)}: ${neutral(phase)}`;
    },
  );
  says(add("leave", "give up the operator's own reason to be in a room"), io, async (daemon, _options, room) => {
    const { room_id, released, holders } = await daemon().call("roomLeave", { params: { room: checkedRoom(room) } });
    const first = released ? "the operator's lease has ended" : "the operator had no lease";
    const then =
      holders.length > 0
        ? `the pseudouser stays because of ${holders.join(", ")}`
        : "nobody holds the room, so the pseudouser leaves after the linger time";
    return neutral(`${room_id}: ${first}; ${then}`);
  });
  shows<AdminAnswer<"upgradeCheck">, Via>(
    add(
      "upgrade-check",
      "say what would change for a room that moves to MSC1777's room version, and what to do without it",
    ).option(
      "--via <server>",
      "a server that is in the room, for one that ours does not know; repeat for more",
      gather,
    ),
    io,
    (daemon, { via = [] }, room) => {
      const params = { room: checkedRoom(room) };
      return daemon().call("upgradeCheck", { params, query: { via } });
    },
    renderCheck,
  );
}

export function addMembers(program: Command, io: Io): void {
  shows<readonly Member[], { membership?: string }>(
    program
      .command("members")
      .description("list a room's members as the ledger knows them")
      .argument("<room>", ROOM)
      .addOption(new Option("--membership <membership>", "only those with this membership").choices(MEMBERSHIPS)),
    io,
    (daemon, { membership = null }, room) => {
      const client = daemon();
      const params = { room: checkedRoom(room) };
      return allPages(async (after: string | null) => {
        const page = await client.call("members", { params, query: { membership, limit: MEMBERS_PAGE, after } });
        return { items: page.members, next: page.next };
      });
    },
    (members) => listing(MEMBERS, members, io.width),
    "No members that the ledger knows.",
  );
}

const MEMBERS: readonly ColumnOf<Member>[] = [
  { title: "USER", whole: true, of: ({ user_id }) => user_id },
  { title: "MEMBERSHIP", whole: true, of: ({ membership }) => membership },
  { title: "NAME", of: ({ displayname }) => displayname },
  { title: "", whole: true, of: ({ pseudouser }) => (pseudouser ? "a pseudouser" : "") },
];

const ROOMS: readonly ColumnOf<RoomInList>[] = [
  { title: "ROOM", whole: true, of: ({ room_id }) => room_id },
  { title: "NAME", of: ({ name, canonical_alias }) => name ?? canonical_alias },
  { title: "PHASE", whole: true, of: ({ phase }) => phase },
  { title: "MEMBERS", right: true, of: ({ joined_members }) => joined_members },
  { title: "HELD BY", of: ({ leases }) => listed(leases.map(({ holder }) => holder)) },
  { title: "REASON", of: ({ reason }) => reason },
];

const GAPS = {
  none: null,
  filling: "what was said while the pseudouser was not there is being fetched",
  open: "what was said while the pseudouser was not there is missing: no server gave it",
} as const;

function render(room: Room): string {
  const leases = room.leases.map(({ holder, taken_at, expires_at }) => {
    const until = expires_at === null ? "" : `, until ${moment(expires_at)}`;
    return ["lease", `${holder}, since ${moment(taken_at)}${until}`] as const;
  });
  const { reason, code, cool_down: shunned } = room;
  return facts([
    ["room", room.room_id],
    ["name", room.name],
    ["alias", room.canonical_alias],
    ["phase", `${room.phase}, since ${moment(room.since)}`],
    ...known("reason", reason !== null && code !== null ? `${reason} (${code})` : (reason ?? code)),
    ["own membership", room.own_membership],
    ["members", listed(Object.entries(room.members).map(([membership, count]) => `${count} ${membership}`))],
    ["state", room.load],
    ...known("gap", GAPS[room.gap]),
    ["version", room.version],
    ["type", room.room_type],
    ["join rule", room.join_rule],
    ["history", room.history_visibility],
    ["encryption", room.encryption],
    ["predecessor", room.predecessor],
    ["replacement", room.replacement],
    ["via", listed(room.via)],
    ...known("invited by", room.invited_by),
    ...known("shunned", shunned && `until ${moment(shunned.until)}: ${shunned.reason} (${shunned.code})`),
    ...(leases.length === 0 ? ([["lease", "none"]] as const) : leases),
  ]);
}

const STANDINGS = {
  moved: "has MSC1777's room version already",
  counts: "is public and world-readable, which counts as peekable in today's versions",
  closed: "does not count as peekable",
} as const;

function renderCheck({ room_id, standing, notes, today }: AdminAnswer<"upgradeCheck">): string {
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

function listed(items: readonly string[]): string | null {
  return items.length === 0 ? null : items.join(", ");
}
