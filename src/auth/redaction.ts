import { isFields, own, type Fields } from "./json.ts";
import { hasPeekableRule, VOUCHED_FOR_BY } from "./version.ts";

/** What redaction keeps of the content since version 11, by event type. */
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
 * The content of an event after its redaction, in room versions 12 and `org.matrix.msc1777.12`. The latter keeps the voucher, in every
 * membership: a join that was authorised by it must stay authorised, else servers part over who is in the room (as room version 8's
 * did over restricted joins).
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

/** Of a third-party invite `signed` is kept, without which rule 5.4.1 would refuse it. */
function signedOnly(invite: Fields): Fields {
  return Object.hasOwn(invite, "signed") ? { signed: invite["signed"] } : {};
}
