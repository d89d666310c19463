import type { Clock } from "../model/clock.ts";
import { serverOf, type RoomAlias, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import type { VerdictCode } from "../model/verdict.ts";
import { mergeVia, type Room } from "../model/room.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { BudgetSubject } from "./budgets.ts";
import { namesRoom } from "./grants.ts";
import { RoomSummaries, type SummarySource } from "./room-summaries.ts";
import { isDenied, isRoomAllowed } from "./checks.ts";
import { isShown, opennessOf, shownRoutes } from "./openness.ts";
import { hasPeekableRule, PEEKABLE } from "../auth/version.ts";
import { gainingServers, subjectsOf, type BudgetKind } from "./budget-subjects.ts";
import { goesByAlias, movedAlias, reachFor, type MovedAlias, type Reach } from "./permit.ts";
import type { Pointers } from "./pointers.ts";
import type { Limits, Question, RoomSummary, Stage } from "./question.ts";
import { RoomRules } from "./room-rules.ts";
import { RouteHealth } from "./route-health.ts";
import { Routes } from "./routes.ts";
import type { Entity, RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";
import { ServerAcls } from "./server-acl.ts";
import type { CoolDownStore } from "./store/cool-downs.ts";
import type { Tenants } from "./tenants.ts";

export interface AttendedRooms {
  /** Counts the pseudouser's rooms; null stands for a room that does not exist yet. */
  counts(roomId: RoomId | null): Promise<RoomCounts>;
  /** Counts the holder's live leases, except the one in this room. */
  heldBy(holder: Holder, except: RoomId | null): Promise<HeldRooms>;
}

export interface HeldRooms {
  readonly rooms: number;
  /** Leases whose room is wanted and not yet joined. */
  readonly underWay: number;
}

export interface RoomCounts {
  /** Rooms that the pseudouser is in or is joining, without this one. */
  readonly others: number;
  /** Rooms that are wanted and not yet joined, without this one. */
  readonly underWay: number;
  /** Whether this room is wanted and not yet joined. */
  readonly isUnderWay: boolean;
}

/** What policy needs to know of a wish for the pseudouser to be in a room. */
export interface Ask {
  readonly roomId: RoomId;
  readonly holder: Holder;
  readonly via: readonly ServerName[];
  /** The alias by which the holder asks for the room; null if it asks by ID. */
  readonly alias?: RoomAlias | null;
  /** The inviter of the local user that the wish is for. */
  readonly inviter?: UserId | null;
  /** Number of upgrades that the lease has followed. */
  readonly upgrades?: number;
  /** The room that this one genuinely replaces and that has the lease. A grant that names it counts here, too. */
  readonly replaces?: RoomId | null;
  /** What an invite says of the room. Used if the homeserver can tell nothing. */
  readonly claims?: RoomSummary | null;
}

export interface PolicyInputParts {
  readonly own: UserId;
  readonly ledger: Ledger;
  readonly looker: SummarySource;
  readonly attended: AttendedRooms;
  readonly tenants: Pick<Tenants, "byId">;
  readonly rules: RuleBook;
  readonly pointers: Pick<Pointers, "pointing">;
  readonly coolDowns: Pick<CoolDownStore, "of">;
  readonly limits: Limits;
  readonly clock: Clock;
  /** Shared with other users of routes. Default: a new one. */
  readonly health?: RouteHealth;
}

export interface PolicyInput {
  readonly question: Question;
  /** The code that the holder sees in a refusal; null if it is the code of the verdict. */
  readonly shown: VerdictCode | null;
  /** Subjects that pay for the join that follows; empty if none follows. */
  readonly subjects: readonly BudgetSubject<BudgetKind>[];
  /** The servers of the wish that may be asked for the room. */
  readonly via: readonly ServerName[];
}

/** Gathers what a verdict needs: from the ledger if we are in the room, else from the homeserver. */
export class PolicyInputs {
  readonly #parts: PolicyInputParts;
  readonly #server: ServerName;
  readonly #summaries: RoomSummaries;
  readonly #roomRules: RoomRules;
  readonly #acls = new ServerAcls();
  readonly #routes: Routes;
  readonly #health: RouteHealth;
  #limits: Limits;

  constructor(parts: PolicyInputParts) {
    this.#parts = parts;
    this.#server = serverOf(parts.own);
    this.#limits = parts.limits;
    this.#health = parts.health ?? new RouteHealth(parts.clock);
    this.#summaries = new RoomSummaries(parts.looker, parts.clock, this.#health);
    this.#routes = new Routes(parts.rules, this.#acls);
    this.#roomRules = new RoomRules(parts.rules, parts.pointers);
  }

  setLimits(limits: Limits): void {
    this.#limits = limits;
  }

  /**
   * Gathers all inputs for a wish.
   * @param fresh whether to ask the homeserver again, past the cache
   * @throws EmissaryError if the homeserver cannot be asked
   */
  async gather(ask: Ask, stage: Stage, fresh = false): Promise<PolicyInput> {
    const { ledger, attended, rules, coolDowns, own, clock } = this.#parts;
    const { roomId, holder, alias = null } = ask;
    const room = await ledger.room(roomId);
    const isHeld = room?.ownMembership === "join";
    const isKnown = isHeld && room.load === "loaded";
    const acl = aclOf(room);
    const granted = await this.#grantedTo(ask, room, stage);
    const invited = room?.ownMembership === "invite" ? await ledger.member(roomId, own) : null;
    const inviter = ask.inviter ?? invited?.sender ?? null;
    const routes = mergeVia(ask.via, room?.via ?? []);
    const creator = room?.creator ?? null;
    const aliasServer = alias === null ? null : serverOf(alias);
    const servers = gainingServers({ roomId, own: this.#server, inviter, creator, aliasServer, via: routes });
    const names = [alias, room?.canonicalAlias ?? null].filter((name) => name !== null);
    const ofRoom = await this.#roomRules.of(roomId, names, isHeld, alias);
    const ofOthers = rules.matches([
      ...servers.map((text): Entity => ({ kind: "server", text })),
      ...[inviter, creator].filter((user) => user !== null).map((text): Entity => ({ kind: "user", text })),
      ...tenantEntity(holder),
    ]);
    const matches = [...ofRoom.matches, ...ofOthers];
    // A stranger gets the same answer in the same way, whether we are in the room and whether it exists at all.
    const asStranger = stage === "take" && !fresh && isStranger(holder, granted.reach);
    const known = isKnown ? lookOf(room) : null;
    const isSeen = known !== null && (!asStranger || isShown(known));
    const named = asStranger ? matches.filter(({ entity }) => isNamedBy(ask, entity)) : matches;
    // If a rule denies the room already, its routes need no check.
    const isSettled = !fresh && holder.kind !== "operator" && isDenied(matches) && isDenied(named);
    const deniedRoutes = isSettled
      ? []
      : await this.#deniedRoutes(ask, asStranger && !isSeen ? null : room, { fresh, asStranger });
    // Neither the operator's wish nor a denial depends on the room's state, so the homeserver is not asked.
    const isMoot = !fresh && (holder.kind === "operator" || isSettled || deniedRoutes.length > 0);
    const via = asStranger ? mergeVia(ask.via, shownRoutes(room)) : routes;
    const look = isSeen
      ? known
      : isMoot
        ? null
        : ((await this.#summaries.look(holder, roomId, this.#routes.open(via, acl), { fresh, asStranger })) ??
          ask.claims ??
          null);
    const isHidden = asStranger && look === null && !isMoot;
    const counts = await attended.counts(roomId);
    const causesJoin = room?.ownMembership !== "join" && (stage === "join" || !counts.isUnderWay);
    return {
      // A moved alias reveals nothing of the room: the directory tells everybody where an alias points.
      shown: !isHidden ? null : granted.reach === "none" || granted.moved !== null ? "not-allowed" : "not-visible",
      subjects: causesJoin ? subjectsOf(holder, roomId, servers, granted.reach === "named") : [],
      via: this.#routes.open(ask.via, acl),
      question: {
        ...(await this.#questionOf(stage, holder, roomId, counts)),
        ...granted,
        ownMembership: room?.ownMembership ?? null,
        look,
        vouched: await this.#isVouchedFor(ask, room, look, fresh),
        matches,
        notExcepted: ofRoom.notExcepted,
        deniedRoutes,
        aclDenies: acl === null ? null : this.#acls.keepsOut(acl, this.#server),
        coolDown: await coolDowns.of(roomId, clock.now()),
        upgrades: ask.upgrades ?? 0,
      },
    };
  }

  /** Returns the question whether one more room may be made. Nothing is known of that room. */
  async oneMore(holder: Holder): Promise<Question> {
    const counts = await this.#parts.attended.counts(null);
    return {
      ...(await this.#questionOf("join", holder, null, counts)),
      reach: "named",
      matches: this.#parts.rules.matches(tenantEntity(holder)),
    };
  }

  /** Records that the known routes led to a refused join. */
  misled(roomId: RoomId): void {
    this.#health.misled(roomId);
  }

  /** Whether the operator's rules except the room from all checks against it, its event rate included. */
  async isExcepted(roomId: RoomId): Promise<boolean> {
    const room = await this.#parts.ledger.room(roomId);
    const names = room?.canonicalAlias == null ? [] : [room.canonicalAlias];
    const { matches } = await this.#roomRules.of(roomId, names, room?.ownMembership === "join");
    return isRoomAllowed(matches);
  }

  /** Returns the rules about an invite of the pseudouser. The room names in it count only against the room. */
  async ofInvite(roomId: RoomId, names: readonly string[], inviter: UserId): Promise<readonly RuleMatch[]> {
    const ofInviter = this.#parts.rules.matches([
      { kind: "server", text: serverOf(inviter) },
      { kind: "user", text: inviter },
    ]);
    return [...(await this.#roomRules.ofInvite(roomId, names)), ...ofInviter];
  }

  /** Returns the routes that may be asked for the room now, best first. Probes them if the best is not known. */
  async routes(roomId: RoomId, via: readonly ServerName[]): Promise<readonly ServerName[]> {
    const open = this.#routes.open(via, aclOf(await this.#parts.ledger.room(roomId)));
    await this.#summaries.probe(roomId, open);
    return this.#health.passable(roomId, open);
  }

  /** Returns the rules against all routes of a room, if we need one: a homeserver with users in the room does not. */
  async #deniedRoutes(
    { roomId, holder, via }: Ask,
    room: Room | null,
    how: { readonly fresh: boolean; readonly asStranger: boolean },
  ): Promise<readonly RuleMatch[]> {
    // The homeserver knows who invited us, and asks that server.
    if (room?.ownMembership === "join" || room?.ownMembership === "invite") return [];
    const denied = this.#routes.allDenied([...via, ...(room?.via ?? [])], aclOf(room));
    if (denied.length === 0) return [];
    return (await this.#summaries.look(holder, roomId, [], how)) === null ? denied : [];
  }

  /**
   * Whether a user of our server is in the room or invited (MSC1777). For rooms that we are not in, the ledger knows
   * only what our registration makes the homeserver send. Without routes, the homeserver describes only its users' rooms.
   */
  async #isVouchedFor(
    { roomId, holder }: Ask,
    room: Room | null,
    look: RoomSummary | null,
    fresh: boolean,
  ): Promise<boolean> {
    const hasRule = hasPeekableRule(look?.version);
    // In public rooms, the most common ones, nobody has to vouch.
    if (look?.joinRule === "public" && !hasRule) return false;
    if (await this.#parts.ledger.hasMemberOf(roomId, this.#server)) return true;
    if (!hasRule || look?.joinRule === PEEKABLE || room?.ownMembership === "join") return false;
    return (await this.#summaries.look(holder, roomId, [], { fresh })) !== null;
  }

  /** Returns the question with the numbers of rooms only. `roomId` is null for a room that does not exist yet. */
  async #questionOf(stage: Stage, holder: Holder, roomId: RoomId | null, counts: RoomCounts): Promise<Question> {
    // Other holders are limited by kind and by budgets.
    const isTenant = holder.kind === "tenant";
    const held = isTenant ? await this.#parts.attended.heldBy(holder, roomId) : { rooms: 0, underWay: 0 };
    return {
      stage,
      kind: holder.kind,
      reach: null,
      moved: null,
      ownMembership: null,
      look: null,
      vouched: false,
      matches: [],
      notExcepted: [],
      deniedRoutes: [],
      aclDenies: null,
      coolDown: null,
      upgrades: 0,
      roomsAttended: counts.others,
      joinsUnderWay: counts.isUnderWay ? 0 : counts.underWay,
      held: counts.isUnderWay ? { ...held, underWay: 0 } : held,
      shortage: null,
      now: this.#parts.clock.now(),
      limits: this.#limits,
    };
  }

  /** Returns what the operator granted the asking tenant for the room. */
  async #grantedTo(
    { roomId, holder, alias = null, replaces = null }: Ask,
    room: Room | null,
    stage: Stage,
  ): Promise<{ readonly reach: Reach | null; readonly moved: MovedAlias | null }> {
    if (holder.kind !== "tenant") return { reach: null, moved: null };
    const tenant = this.#parts.tenants.byId(holder.name);
    if (tenant === null) return { reach: "none", moved: null };
    if (replaces !== null && tenant.grants.some((grant) => namesRoom(grant, replaces)))
      return { reach: "named", moved: null };
    const points =
      alias !== null &&
      goesByAlias(tenant, alias) &&
      (await this.#parts.pointers.pointing(alias, roomId, room?.ownMembership === "join")) === "there";
    const reach = reachFor(tenant, { id: roomId, alias: points ? alias : null }, room?.createdFor ?? null);
    // Once the tenant is in the room, only the room's grants count, not the alias by which the tenant came.
    const moved = reach === "named" || alias === null || stage === "hold" ? null : movedAlias(tenant, alias, roomId);
    return { reach, moved };
  }
}

/** Whether the holder has neither a grant that names the room nor a lease made by the operator. */
function isStranger({ kind }: Holder, reach: Reach | null): boolean {
  return kind === "peek" || (kind === "tenant" && reach !== "named");
}

/** Whether a rule about the entity is a rule about what was asked for, whatever else is known of the room. */
function isNamedBy({ roomId, alias = null }: Ask, { kind, text }: Entity): boolean {
  if (kind === "room") return text === roomId || text === alias;
  if (kind === "server") return roomId.endsWith(`:${text}`) || (alias !== null && serverOf(alias) === text);
  return kind === "tenant";
}

function tenantEntity({ kind, name }: Holder): readonly Entity[] {
  return kind === "tenant" ? [{ kind, text: name }] : [];
}

/** Returns the room's access list if we are in the room. Outside, it may be outdated, and servers enforce it. */
function aclOf(room: Room | null): string | null {
  return room?.ownMembership === "join" ? room.serverAcl : null;
}

function lookOf(room: Room): RoomSummary {
  return { ...opennessOf(room), joinedMembers: null, encryption: room.encryption };
}
