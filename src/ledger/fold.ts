import { isStateEvent, type RoomEvent } from "../model/event.ts";
import { isRoomId, isUserId, serverOf, type EventId, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import { ownerIn } from "../model/attribution.ts";
import { isJsonObject, stringAt, type JsonObject } from "../model/json.ts";
import { isMembership, type Member } from "../model/membership.ts";
import { replacedBy } from "./redaction.ts";

/** The room state that the ledger keeps, one scalar per field. */
export const ROOM_FIELDS = [
  "version",
  "type",
  "predecessor",
  "name",
  "alias",
  "join_rule",
  "history_visibility",
  "encryption",
  "replacement",
  "created_for",
  "creator",
  "server_acl",
] as const;
export type RoomField = (typeof ROOM_FIELDS)[number];

/** A change that an event makes to the ledger. Its consequences are in the same commit (follower.ts). */
export type LedgerChange =
  | {
      readonly kind: "member";
      readonly member: Member;
      /** The event that this one replaced where it was created (unsigned.replaces_state); null if unknown. */
      readonly replaces: EventId | null;
      /** True for the pseudouser's own membership. */
      readonly own: boolean;
      /** For `own`: how our stay ends, if somebody removed us. */
      readonly ends: "kicked" | "banned" | null;
      /** For `own`: the event's reason, cut to a bound. */
      readonly reason: string | null;
      /** For `own`, if it is an invite: the room that, according to the inviter, this one replaces. */
      readonly claims: RoomId | null;
    }
  | {
      readonly kind: "state";
      readonly roomId: RoomId;
      readonly field: RoomField;
      readonly value: string | null;
      readonly eventId: EventId;
      readonly replaces: EventId | null;
    }
  /** An event's content is redacted. The homeserver sends valid redactions only. */
  | { readonly kind: "redaction"; readonly roomId: RoomId; readonly redaction: RoomEvent }
  /** The room names another that replaces it. The upgrader's server is a route to the replacement. */
  | {
      readonly kind: "upgrade";
      readonly roomId: RoomId;
      readonly replacement: RoomId;
      readonly via: readonly ServerName[];
    };

/** The fields that a state event of each type sets, and how to read them from its content. */
const FIELDS_OF: Readonly<
  Record<string, (content: JsonObject, sender: UserId, own: UserId) => readonly (readonly [RoomField, string | null])[]>
> = {
  "m.room.create": (content, sender, own) => [
    ["version", stringAt(content, "room_version") ?? "1"],
    ["type", stringAt(content, "type")],
    ["predecessor", predecessorIn(content)],
    ["created_for", sender === own ? (ownerIn(content)?.tenant ?? null) : null],
    ["creator", sender],
  ],
  "m.room.name": (content) => [["name", stringAt(content, "name")]],
  "m.room.canonical_alias": (content) => [["alias", stringAt(content, "alias")]],
  "m.room.join_rules": (content) => [["join_rule", stringAt(content, "join_rule")]],
  "m.room.history_visibility": (content) => [["history_visibility", stringAt(content, "history_visibility")]],
  "m.room.encryption": (content) => [["encryption", stringAt(content, "algorithm")]],
  "m.room.server_acl": (content) => [["server_acl", aclIn(content)]],
  "m.room.tombstone": (content) => [["replacement", stringAt(content, "replacement_room")]],
};

/** Returns the effective part of a server ACL as JSON. Anything else that its author put there is not kept. */
function aclIn(content: JsonObject): string {
  const globs = (key: string): string[] => {
    const list = content[key];
    return Array.isArray(list) ? list.filter((glob) => typeof glob === "string") : [];
  };
  return JSON.stringify({
    allow: globs("allow"),
    deny: globs("deny"),
    allow_ip_literals: content["allow_ip_literals"] !== false,
  });
}

/** In characters. Longer reasons are cut. */
const MAX_REASON = 500;

/** Returns what one event changes in the ledger; an empty list if it changes nothing that the ledger keeps. */
export function foldEvent(event: RoomEvent, own: UserId): readonly LedgerChange[] {
  if (event.type === "m.room.redaction") return [{ kind: "redaction", roomId: event.room_id, redaction: event }];
  if (!isStateEvent(event)) return [];
  if (event.type === "m.room.member") return foldMember(event, event.state_key, own);
  if (event.state_key !== "") return [];
  const read = Object.hasOwn(FIELDS_OF, event.type) ? FIELDS_OF[event.type] : undefined;
  if (read === undefined) return [];
  const replaces = replacedBy(event);
  const changes: LedgerChange[] = read(event.content, event.sender, own).map(([field, value]) => ({
    kind: "state",
    roomId: event.room_id,
    field,
    value,
    eventId: event.event_id,
    replaces,
  }));
  const replacement = event.type === "m.room.tombstone" ? stringAt(event.content, "replacement_room") : null;
  if (replacement !== null && isRoomId(replacement) && replacement !== event.room_id) {
    changes.push({ kind: "upgrade", roomId: event.room_id, replacement, via: [serverOf(event.sender)] });
  }
  return changes;
}

function foldMember(event: RoomEvent, userId: string, own: UserId): readonly LedgerChange[] {
  const membership = event.content["membership"];
  if (!isUserId(userId) || !isMembership(membership)) return [];
  const isOwn = userId === own;
  const putOut = isOwn && event.sender !== own;
  return [
    {
      kind: "member",
      member: {
        roomId: event.room_id,
        userId,
        membership,
        eventId: event.event_id,
        sender: event.sender,
        displayname: stringAt(event.content, "displayname"),
        avatarUrl: stringAt(event.content, "avatar_url"),
      },
      replaces: replacedBy(event),
      own: isOwn,
      reason: isOwn ? (stringAt(event.content, "reason")?.slice(0, MAX_REASON) ?? null) : null,
      claims: isOwn && membership === "invite" ? claimedBy(event) : null,
      ends: putOut && membership === "ban" ? "banned" : putOut && membership === "leave" ? "kicked" : null,
    },
  ];
}

/** Returns the predecessor in an invite's m.room.create, whole (MSC4311) or stripped (spec, "Stripped state"). */
function claimedBy({ unsigned }: RoomEvent): RoomId | null {
  const state = unsigned?.["invite_room_state"];
  const entries = Array.isArray(state) ? state.filter((entry) => isJsonObject(entry)) : [];
  const content = entries.find(({ type }) => type === "m.room.create")?.["content"] ?? null;
  const claimed = isJsonObject(content) ? predecessorIn(content) : null;
  return claimed !== null && isRoomId(claimed) ? claimed : null;
}

/** Reads the room only. From room version 12 on there is no `event_id` (MSC4291). */
function predecessorIn(content: JsonObject): string | null {
  const predecessor = content["predecessor"];
  return isJsonObject(predecessor) ? stringAt(predecessor, "room_id") : null;
}
