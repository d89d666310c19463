import type { TenantAnswer } from "../admin/api/tenants.ts";
import { isTenantId } from "../model/ids.ts";
import { ANY_ROOM, TENANT_ACTIONS, DEFAULT_ACTIONS } from "../model/tenant.ts";
import { wrongUsage, type Io } from "./io.ts";
import { moment, neutral } from "./text.ts";
import type { Command } from "commander";
import { faultsInRooms, faultsInTypes } from "../policy/grants.ts";
import { adminClient } from "./admin-client.ts";

type GrantAnswer = TenantAnswer["grants"][number];

/** @throws CommandFailed if it is no tenant ID */
export function checkedId(id = ""): string {
  if (isTenantId(id)) return id;
  throw wrongUsage(
    `${JSON.stringify(id)} is no tenant's name: letters, digits, - _ and ., at most 63, not beginning with a sign`,
  );
}

/** Returns the actions in a list with commas, and what is wrong with it or null. */
export function actionsIn(list: string): { readonly actions: readonly string[]; readonly fault: string | null } {
  const actions = list.split(",").map((action) => action.trim());
  const unknown = actions.filter((action) => !(TENANT_ACTIONS as readonly string[]).includes(action));
  const fault = unknown.length === 0 ? null : `${unknown.join(", ")}: there are ${TENANT_ACTIONS.join(", ")}`;
  return { actions: [...new Set(actions)], fault };
}

const WHENCE: ReadonlyMap<string, string> = new Map([
  ["invite", ", by an invite"],
  ["upgrade", ", which replaced a room that it was allowed in"],
]);

/** Describes each grant in one line: actions, types, rooms and source. */
export function grantTexts(grants: readonly GrantAnswer[]): string[] {
  if (grants.length === 0) return ["nothing"];
  return grants.map((grant) => {
    const types = grant.types === null ? "" : ` (of the types ${grant.types.join(", ")})`;
    const whence = WHENCE.get(grant.source) ?? "";
    return `${grant.actions.join(", ")}${types} in ${roomsOf(grant)}${whence}`;
  });
}

/** Describes which rooms the aliases of grants stand for, one a line, and what the operator must do. */
export function pinTexts(tenant: string, grants: readonly GrantAnswer[]): string[] {
  return grants.flatMap((grant) =>
    (grant.stands_for ?? []).map(({ alias, room_id, moved_to, moved_at }) => {
      const again = `emissary tenant allow ${tenant} ${optionsOf(grant)}`;
      if (room_id === null) {
        return `${alias} stands for no room, because it was granted before it was noted for which: ${again} confirms where it points`;
      }
      if (moved_to === null || moved_at === null) return `${alias} stands for ${room_id}`;
      return (
        `${alias} stands for ${room_id}, and was found to point to ${moved_to} at ${moment(moved_at)}, which is refused: ` +
        `${again} confirms where it points`
      );
    }),
  );
}

function optionsOf({ rooms, actions, types }: GrantAnswer): string {
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(" ");
  const ofTypes = types === null ? "" : ` --type ${quoted(types)}`;
  return `--room ${quoted(rooms)} --action ${actions.join(",")}${ofTypes}`;
}

const SHOWN_IN_SHORT = 2;

/** Describes grants in one table cell: the first ones, and the number of others. */
export function grantsInShort(grants: readonly GrantAnswer[]): string {
  if (grants.length === 0) return "nothing";
  const shown = grants.slice(0, SHOWN_IN_SHORT).map(({ actions, types, rooms }) => {
    const [first = "", ...more] = rooms;
    const restricted = types === null ? "" : " (some types)";
    return `${actions.join(",")}${restricted} in ${first}${more.length === 0 ? "" : ` +${more.length}`}`;
  });
  const left = grants.length - shown.length;
  return [...shown, ...(left === 0 ? [] : [`${left} more`])].join("; ");
}

function roomsOf({ rooms }: GrantAnswer): string {
  return rooms.includes(ANY_ROOM) ? "every public room" : rooms.join(", ");
}

/** Returns one sentence for each other tenant whose namespace has, or may have, users in common with this one's. */
export function overlapTexts({ overlaps }: Pick<TenantAnswer, "overlaps">): string[] {
  return overlaps.map(({ tenant, user_id: user, theirs }) => {
    const what = user === null ? "may have users in common" : `has ${user} in common`;
    const whose = theirs
      ? `they are of ${tenant}, which was added first`
      : "they stay with this one, which was added first";
    return `${what} with ${tenant}: ${whose}`;
  });
}

interface AllowOptions {
  room?: string[];
  action: string;
  type?: string[];
  only?: true;
}

export function addTenantAllow(group: Command, io: Io): void {
  group
    .command("allow")
    .description("allow a tenant something in some rooms, in addition to what it may")
    .argument("<id>")
    .option(
      "--room <pattern...>",
      "room IDs, aliases or globs; without it, every public room. An alias stands for the room that it points to now",
    )
    .option("--action <list>", `what it may do there, of ${TENANT_ACTIONS.join(",")}`, DEFAULT_ACTIONS.join(","))
    .option("--type <glob...>", "the event types that send, state and room-state are for; without it, every type")
    .option("--only", "in place of all that it may, what invites gave it included")
    .action(async (id: string, options: AllowOptions, command: Command) => {
      const call = { params: { id: checkedId(id) }, body: checkedGrant(options) };
      const answer = await adminClient(command, io).call("tenantAllow", call);
      io.out(`The tenant ${neutral(answer.id)} may now:`);
      for (const text of grantTexts(answer.grants)) io.out(`  ${neutral(text)}`);
      for (const text of pinTexts(answer.id, answer.grants)) io.out(`  ${neutral(text)}`);
    });
}

/** @throws CommandFailed with everything that is wrong with the options */
function checkedGrant({ room = [ANY_ROOM], action, type, only }: AllowOptions) {
  const { actions, fault } = actionsIn(action);
  const faults = [
    ...faultsInRooms(room).map((each) => `--room: ${each}`),
    ...(fault === null ? [] : [`--action: ${fault}`]),
    ...(type === undefined ? [] : faultsInTypes(type).map((each) => `--type: ${each}`)),
  ];
  if (faults.length > 0) throw wrongUsage(faults.join("\n"));
  return { rooms: room, actions, types: type ?? null, only: only ?? false };
}
