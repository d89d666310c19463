import { serverInRoomId, serverOf, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import { peekingUser, type Holder } from "../model/lease.ts";
import type { Budget, BudgetSubject } from "./budgets.ts";

export const BUDGET_KINDS = ["room", "user", "tenant", "server", "all"] as const;
/** Who pays for a join: the room, the user or tenant that wants it, the remote server that gains, and all together. */
export type BudgetKind = (typeof BUDGET_KINDS)[number];

/** Most joins of one room, for whatever reason we leave it. No legitimate use needs more. */
export const ROOM_BUDGET: Budget = { joins: 6, per: 60 * 60 * 1000 };

export interface JoinBudgets {
  readonly joinsPerUser: Budget;
  readonly joinsPerTenant: Budget;
  readonly joinsPerServer: Budget;
  readonly joinsInAll: Budget;
}

export function budgetsOf(config: JoinBudgets): Readonly<Record<BudgetKind, Budget>> {
  return {
    room: ROOM_BUDGET,
    user: config.joinsPerUser,
    tenant: config.joinsPerTenant,
    server: config.joinsPerServer,
    all: config.joinsInAll,
  };
}

/** The facts about a join that tell who gains by it. */
export interface Gain {
  readonly roomId: RoomId;
  readonly own: ServerName;
  /** The inviter of the pseudouser, or of the local user that the lease is for. */
  readonly inviter: UserId | null;
  /** The room's creator, if known. */
  readonly creator: UserId | null;
  /** The server of the alias by which the room was asked for. */
  readonly aliasServer: ServerName | null;
  readonly via: readonly ServerName[];
}

/**
 * Returns the remote servers that gain by our being in a room: the creator's and the inviter's. Up to version 11, a
 * room ID names the creator's server. If neither is known, the route to the room stands in.
 */
export function gainingServers({ roomId, own, inviter, creator, aliasServer, via }: Gain): readonly ServerName[] {
  const named = [
    ...(inviter === null ? [] : [serverOf(inviter)]),
    creator === null ? serverInRoomId(roomId) : serverOf(creator),
    aliasServer,
  ].filter((server) => server !== null);
  const known = named.length > 0 ? named : via.slice(0, 1);
  return [...new Set(known)].filter((server) => server !== own);
}

/**
 * Returns the subjects that pay for a join. The operator's own wish costs nobody. A tenant's grant that names the room
 * does not use the budget of the gaining server.
 */
export function subjectsOf(
  { kind, name }: Holder,
  roomId: RoomId,
  servers: readonly ServerName[],
  isNamed: boolean,
): readonly BudgetSubject<BudgetKind>[] {
  const all: BudgetSubject<BudgetKind> = { kind: "all", name: "" };
  const room: BudgetSubject<BudgetKind> = { kind: "room", name: roomId };
  const gaining = servers.map((server): BudgetSubject<BudgetKind> => ({ kind: "server", name: server }));
  switch (kind) {
    case "operator":
      return [];
    case "tenant":
      return [room, { kind, name }, ...(isNamed ? [] : gaining), all];
    case "alias":
      return [room, all];
    case "upgrade":
      // The holder is the old room: whoever can write its tombstone must not be able to send us into many rooms.
      return [room, { kind: "room", name }, ...gaining, all];
    case "peek":
      return [room, { kind: "user", name: peekingUser(name) }, ...gaining, all];
    default:
      return [room, ...gaining, all];
  }
}

/** Returns the subjects that pay for creating a room. No other server gains by it. */
export function makersOf({ kind, name }: Holder): readonly BudgetSubject<BudgetKind>[] {
  if (kind !== "tenant") return [];
  return [
    { kind, name },
    { kind: "all", name: "" },
  ];
}
