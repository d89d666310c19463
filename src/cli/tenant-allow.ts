import type { Command } from "commander";
import { ANY_ROOM, DEFAULT_ACTIONS, TENANT_ACTIONS } from "../model/tenant.ts";
import { faultsInRooms, faultsInTypes } from "../policy/grants.ts";
import { adminClient } from "./admin-client.ts";
import { wrongUsage, type Io } from "./io.ts";
import { actionsIn, checkedId, grantTexts, pinTexts } from "./tenant-words.ts";
import { neutral } from "./text.ts";

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
