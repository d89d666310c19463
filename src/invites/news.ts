import { isStateEvent, type RoomEvent } from "../model/event.ts";
import { isUserId, localpartOf, serverOf, type RoomId, type UserId } from "../model/ids.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { hasPeekableRule } from "../auth/version.ts";
import type { RoomSummary } from "../policy/question.ts";

/** What an event tells of invites of local users. `us`: the pseudouser itself is invited, which may open the room for others' leases. */
export type InviteNews =
  | {
      readonly of: "user";
      readonly roomId: RoomId;
      readonly user: UserId;
      /** False where the invite itself says that the room is not public. The inviter says so, and so it may only speak against. */
      readonly mayBeOpen: boolean;
      /** What the invite says of a room whose version lets a server in for its invited user, and that it need not show to others. */
      readonly told: RoomSummary | null;
    }
  | { readonly of: "us"; readonly roomId: RoomId };

export interface Own {
  readonly own: UserId;
  /** Whether a user is a tenant's, its sender or one of its personas, or the reader. Nobody is there whose devices would matter. */
  readonly isTenants: (user: UserId) => boolean;
}

/** Null for an event that tells nothing of invites: it is no membership, or of a user of another server, or of nobody who would answer. */
export function inviteNewsIn(event: RoomEvent, { own, isTenants }: Own): InviteNews | null {
  if (event.type !== "m.room.member" || !isStateEvent(event)) return null;
  const { room_id: roomId, state_key: user } = event;
  if (!isUserId(user) || serverOf(user) !== serverOf(own)) return null;
  if (user === own) return event.content["membership"] === "invite" ? { of: "us", roomId } : null;
  if (localpartOf(user) === "" || isTenants(user)) return null;
  const { version, joinRule, encryption } = toldBy(event);
  // A liar could as well make such a room: the join that follows costs no more than that to one.
  const told: RoomSummary | null = hasPeekableRule(version)
    ? { version, joinRule, encryption, worldReadable: false, joinedMembers: null }
    : null;
  return { of: "user", roomId, user, mayBeOpen: told !== null || joinRule === null || joinRule === "public", told };
}

/** An invite brings some of the room's state along (spec, "Stripped state"); an entry may be a whole event (MSC4311). */
function toldBy({ unsigned }: RoomEvent): Pick<RoomSummary, "version" | "joinRule" | "encryption"> {
  const state = unsigned?.["invite_room_state"];
  const text = (type: string, key: string): string | null => {
    const entries = Array.isArray(state) ? state.filter((entry) => isJsonObject(entry) && entry["type"] === type) : [];
    const contents = entries.map((entry) => (isJsonObject(entry) ? (entry["content"] ?? null) : null));
    const [content] = contents.filter((each) => isJsonObject(each));
    return content === undefined ? null : stringAt(content, key);
  };
  return {
    version: text("m.room.create", "room_version"),
    joinRule: text("m.room.join_rules", "join_rule"),
    encryption: text("m.room.encryption", "algorithm"),
  };
}
