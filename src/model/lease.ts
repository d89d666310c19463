import type { RoomAlias, RoomId, ServerName, UserId } from "./ids.ts";

export const HOLDER_KINDS = ["tenant", "peek", "alias", "invite", "watch", "index", "upgrade", "operator"] as const;
/**
 * `upgrade`: to find out whether a room really replaces the room that is the holder's name. Nobody reads through it.
 */
export type HolderKind = (typeof HOLDER_KINDS)[number];

/** The party that wants the pseudouser in a room: a kind and a name within it, for example tenant `telegram`. */
export interface Holder {
  readonly kind: HolderKind;
  readonly name: string;
}

/** Returns the user in a peek's holder name: the user, a full stop and the device (see Peeker.holderOf). */
export function peekingUser(name: string): string {
  const [user = name] = name.split(".", 1);
  return user;
}

/** Returns the holder for the audit. For the kind `operator`, the name alone: the operator, or who acts for them. */
export function holderText({ kind, name }: Holder): string {
  return kind === "operator" ? name : `${kind}:${name}`;
}

/** One holder's reason to be in one room. A holder has at most one live lease in a room. */
export interface Lease {
  readonly id: number;
  readonly roomId: RoomId;
  readonly holder: Holder;
  /** The alias by which the holder asked for the room; null if it asked by ID. */
  readonly alias: RoomAlias | null;
  readonly takenAt: number;
  /** Number of upgrades between the room that the holder asked for and this one. */
  readonly upgrades: number;
  /** Milliseconds since the epoch; null for a lease that lasts until its release. */
  readonly expiresAt: number | null;
}

/** Why a lease ended. `refused`: see the room's attendance. `withdrawn`: somebody at our homeserver removed us. */
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

/** A requested lease that policy has not judged yet. */
export interface LeaseWish {
  readonly roomId: RoomId;
  readonly holder: Holder;
  readonly alias?: RoomAlias | null;
  readonly via: readonly ServerName[];
  /** For a lease of an invited user: the inviter. */
  readonly inviter?: UserId | null;
  /** Number of upgrades between the room that was asked for and this one; default 0. */
  readonly upgrades?: number;
  /** Milliseconds until it expires; null for never. */
  readonly ttl: number | null;
  /**
   * For a room made for the holder: the journal's number before its creation. Events since then are the holder's, too.
   */
  readonly from?: number;
}
