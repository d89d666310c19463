import type { RoomAlias, RoomId, ServerName, UserId } from "./ids.ts";

export const HOLDER_KINDS = ["tenant", "peek", "alias", "invite", "watch", "index", "upgrade", "operator"] as const;
/** `upgrade`: the pseudouser is to find out whether a room truly replaces another, the one that is the holder's name. Nobody reads by it. */
export type HolderKind = (typeof HOLDER_KINDS)[number];

/** Who wants the pseudouser in a room: a kind and a name within it, for example tenant `telegram`. */
export interface Holder {
  readonly kind: HolderKind;
  readonly name: string;
}

/** The user in the name of a peek's holder: a device's name begins with its user's, and a full stop (see Peeker.holderOf). */
export function peekingUser(name: string): string {
  const [user = name] = name.split(".", 1);
  return user;
}

/** The holder as the audit and the operator see it: of the operator's kind, the operator, or what works by the operator's word. */
export function holderText({ kind, name }: Holder): string {
  return kind === "operator" ? name : `${kind}:${name}`;
}

/** One holder's reason to be in one room. There is at most one live lease for a holder and a room. */
export interface Lease {
  readonly id: number;
  readonly roomId: RoomId;
  readonly holder: Holder;
  /** The name by which the holder asked for the room, or null where it did by ID. */
  readonly alias: RoomAlias | null;
  readonly takenAt: number;
  /** How many upgrades lie between the room that its holder asked for and this one. */
  readonly upgrades: number;
  /** Milliseconds since the epoch, or null for a lease that lasts until it is released. */
  readonly expiresAt: number | null;
}

/**
 * Why a lease ended. `refused` carries the homeserver's or the policy's word in the attendance of its room. `withdrawn`: somebody at our
 * homeserver took the pseudouser out of the room.
 */
export const LEASE_ENDS = [
  "released",
  "expired",
  "kicked",
  "banned",
  "withdrawn",
  "refused",
  "upgraded",
  "tenant-removed",
] as const;
export type LeaseEnd = (typeof LEASE_ENDS)[number];

/** A wish for a lease, before policy has judged it. */
export interface LeaseWish {
  readonly roomId: RoomId;
  readonly holder: Holder;
  readonly alias?: RoomAlias | null;
  readonly via: readonly ServerName[];
  /** For a lease of an invited user: who invites it. */
  readonly inviter?: UserId | null;
  /** How many upgrades lie between the room that was asked for and this one; none where it is left out. */
  readonly upgrades?: number;
  /** Milliseconds from now until it expires; null for no end. */
  readonly ttl: number | null;
  /** Of a room that was made for the holder: the journal's number before it was. What came of it since is the holder's, too. */
  readonly from?: number;
}
