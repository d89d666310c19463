import { createHash } from "node:crypto";
import type { RoomEvent } from "../../../model/event.ts";
import type { EventId, RoomId, UserId } from "../../../model/ids.ts";
import type { PersonaInRoom, Profile } from "../../../model/persona.ts";

/** Returns a profile in the API's form, without unset fields. */
export function profileJson({ displayname, avatarUrl }: Profile): { displayname?: string; avatar_url?: string } {
  return {
    ...(displayname === null ? {} : { displayname }),
    ...(avatarUrl === null ? {} : { avatar_url: avatarUrl }),
  };
}

/** Builds a membership event as if the user had joined when the tenant did. The room has no such event. */
export function personaMember(roomId: RoomId, { userId, ...profile }: PersonaInRoom, at: number): RoomEvent {
  return {
    type: "m.room.member",
    room_id: roomId,
    sender: userId,
    state_key: userId,
    event_id: personaMemberId(roomId, userId),
    origin_server_ts: at,
    content: { membership: "join", ...profileJson(profile) },
  };
}

export function personaMemberId(roomId: RoomId, userId: UserId): EventId {
  return `$emissary_member_${createHash("sha256").update(`${roomId}\n${userId}`).digest("base64url")}` as EventId;
}
