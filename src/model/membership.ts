import type { EventId, RoomId, UserId } from "./ids.ts";

export const MEMBERSHIPS = ["join", "invite", "leave", "ban", "knock"] as const;
export type Membership = (typeof MEMBERSHIPS)[number];

export function isMembership(value: unknown): value is Membership {
  return MEMBERSHIPS.includes(value as Membership);
}

/** One user's membership in one room, from the newest membership event that we know. */
export interface Member {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly membership: Membership;
  readonly eventId: EventId;
  readonly sender: UserId;
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
}
