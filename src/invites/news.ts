import { isStateEvent, type RoomEvent } from "../model/event.ts";
import { isUserId, localpartOf, serverOf, type RoomId, type UserId } from "../model/ids.ts";
import { isJsonObject, stringAt } from "../model/json.ts";
import { hasPeekableRule } from "../auth/version.ts";
import type { RoomSummary } from "../policy/question.ts";

/** An invite found in an event. `us`: the pseudouser itself is invited, which may open the room for others' leases. */
export type InviteNews =
  | {
      readonly of: "user";
      readonly roomId: RoomId;
      readonly user: UserId;
      /** False if the invite says that the room is not public. Inviters can lie, so only that answer counts. */
      readonly mayBeOpen: boolean;
      /** The invite's claims, if the room's version admits a server for its invited user and may hide the room. */
      readonly told: RoomSummary | null;
    }
  | { readonly of: "us"; readonly roomId: RoomId };

export interface Own {
  readonly own: UserId;
  /** Whether a user is the reader, or a tenant's sender or persona. Nobody uses these accounts from a client. */
  readonly isTenants: (user: UserId) => boolean;
}

/** Returns the invite in an event; null if it has none, or one of a remote user or of an account that answers none. */
export function inviteNewsIn(event: RoomEvent, { own, isTenants }: Own): InviteNews | null {
  if (event.type !== "m.room.member" || !isStateEvent(event)) return null;
  const { room_id: roomId, state_key: user } = event;
  if (!isUserId(user) || serverOf(user) !== serverOf(own)) return null;
  if (user === own) return event.content["membership"] === "invite" ? { of: "us", roomId } : null;
  if (localpartOf(user) === "" || isTenants(user)) return null;
  const { version, joinRule, encryption } = toldBy(event);
  // A liar could create such a room as well: the join that follows is no worse than a join to that room.
  const told: RoomSummary | null = hasPeekableRule(version)
    ? { version, joinRule, encryption, worldReadable: false, joinedMembers: null }
    : null;
  return { of: "user", roomId, user, mayBeOpen: told !== null || joinRule === null || joinRule === "public", told };
}

/** Reads the invite's stripped state (spec, "Stripped state"). An entry may be a whole event (MSC4311). */
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
