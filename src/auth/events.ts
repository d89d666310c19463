import { isFields, isUserId, own, type Fields } from "./basics.ts";
import { hasPeekableRule, PEEKABLE, VOUCHED_FOR_BY } from "./version.ts";
import { joinRuleOf, readState } from "./state.ts";

export type StateKey = readonly [type: string, stateKey: string];

/**
 * Returns the state that authorises an event (server-server API, "Auth events selection"), without duplicates; none for
 * a malformed event. Any other auth event makes it invalid (rule 3.2). `m.room.create` is left out, as in version 12. A
 * voucher is selected in any join by its form alone: no state is known yet, and rule 5.3.3a checks the rest.
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

/** Whether a non-member may read an event. @param state the room's state at the event; if invalid it allows nothing */
export function readableByNonMembers(state: readonly unknown[], roomVersion: unknown): boolean {
  const known = Array.isArray(state) ? readState(state) : null;
  if (known === null) return false;
  if (hasPeekableRule(roomVersion) && joinRuleOf(known) === PEEKABLE) return true;
  const visibility = known.get("m.room.history_visibility", "");
  return visibility !== undefined && own(visibility.content, "history_visibility") === "world_readable";
}

/** Content keys that redaction keeps since version 11, by event type. */
const KEPT: ReadonlyMap<string, readonly string[]> = new Map([
  ["m.room.member", ["membership", "join_authorised_via_users_server"]],
  ["m.room.join_rules", ["join_rule", "allow"]],
  [
    "m.room.power_levels",
    ["ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default"],
  ],
  ["m.room.history_visibility", ["history_visibility"]],
  ["m.room.redaction", ["redacts"]],
]);

/**
 * Returns an event's content after redaction in room versions 12 and `org.matrix.msc1777.12`. The latter keeps the
 * voucher: a join that it authorised must stay authorised, or servers would disagree about who is in the room.
 */
export function redactedContent(type: string, content: unknown, roomVersion: unknown): Fields {
  if (!isFields(content)) return {};
  if (type === "m.room.create") return content;
  const keys = KEPT.get(type) ?? [];
  const isMember = type === "m.room.member";
  const ours = isMember && hasPeekableRule(roomVersion) ? [VOUCHED_FOR_BY] : [];
  const kept = [...keys, ...ours]
    .filter((key) => Object.hasOwn(content, key))
    .map((key) => [key, content[key]] as const);
  const invite = isMember ? own(content, "third_party_invite") : undefined;
  return { ...Object.fromEntries(kept), ...(isFields(invite) ? { third_party_invite: signedOnly(invite) } : {}) };
}

/** Keeps `signed` of a third-party invite. Without it, rule 5.4.1 would reject the invite. */
function signedOnly(invite: Fields): Fields {
  return Object.hasOwn(invite, "signed") ? { signed: invite["signed"] } : {};
}
