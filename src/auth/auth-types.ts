import { isFields, own } from "./json.ts";
import { isUserId } from "./user-id.ts";
import { hasPeekableRule, VOUCHED_FOR_BY } from "./version.ts";

/** A state event's type and state key. */
export type StateKey = readonly [type: string, stateKey: string];

/**
 * Returns the state that authorises an event (server-server API, "Auth events selection"), without duplicates. Any
 * other auth event makes the event invalid (rule 3.2). `m.room.create` is left out, as in version 12. Malformed events
 * have none.
 *
 * A voucher is selected by the form of its name alone and in any join, as a restricted join's authorising
 * user is. The selection must be made before any state is known, and rule 5.3.3a checks the rest.
 */
export function authTypesFor(event: unknown, roomVersion: unknown): StateKey[] {
  if (!isFields(event)) return [];
  const [type, sender, content] = [own(event, "type"), own(event, "sender"), own(event, "content")];
  if (typeof type !== "string" || type === "m.room.create" || typeof sender !== "string") return [];
  const members = new Set([sender]);
  const others: StateKey[] = [["m.room.power_levels", ""]];

  if (type === "m.room.member" && isFields(content)) {
    const [target, membership] = [own(event, "state_key"), own(content, "membership")];
    if (typeof target === "string") members.add(target);
    if (membership === "join" || membership === "invite" || membership === "knock")
      others.push(["m.room.join_rules", ""]);
    const token = membership === "invite" ? tokenOf(own(content, "third_party_invite")) : null;
    if (token !== null) others.push(["m.room.third_party_invite", token]);
    for (const key of ["join_authorised_via_users_server", ...(hasPeekableRule(roomVersion) ? [VOUCHED_FOR_BY] : [])]) {
      const user = own(content, key);
      if (membership === "join" && isUserId(user)) members.add(user);
    }
  }
  return [...others, ...[...members].map((userId): StateKey => ["m.room.member", userId])];
}

function tokenOf(invite: unknown): string | null {
  const signed = isFields(invite) ? own(invite, "signed") : undefined;
  const token = isFields(signed) ? own(signed, "token") : undefined;
  return typeof token === "string" ? token : null;
}
