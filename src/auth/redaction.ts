import { isFields, own, type Fields } from "./json.ts";
import { hasPeekableRule, VOUCHED_FOR_BY } from "./version.ts";

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
 * voucher, in every membership: a join that it authorised must stay authorised. Otherwise servers would disagree about
 * who is in the room, as in room version 8 with restricted joins.
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
