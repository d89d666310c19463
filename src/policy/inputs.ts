import type { Clock } from "../model/clock.ts";
import { serverOf, type RoomAlias, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import type { VerdictCode } from "../model/verdict.ts";
import { mergeVia, type Room } from "../model/room.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { BudgetSubject } from "./budgets.ts";
import type { CoolDowns } from "./cool-downs.ts";
import { namesRoom } from "./grants.ts";
import { RoomSummaries, type SummarySource } from "./room-summaries.ts";
import { isDenied, isRoomAllowed } from "./checks.ts";
import { isShown, opennessOf, shownRoutes } from "./openness.ts";
import { hasPeekableRule, PEEKABLE } from "../auth/version.ts";
import { gainingServers, subjectsOf, type BudgetKind } from "./budget-subjects.ts";
import { goesByAlias, movedAlias, wordFor, type MovedAlias, type Word } from "./permit.ts";
import type { Pointers } from "./pointers.ts";
import type { Limits, Question, RoomSummary, Stage } from "./question.ts";
import { RoomRules } from "./room-rules.ts";
import { RouteHealth } from "./route-health.ts";
import { Routes } from "./routes.ts";
import type { Entity, RuleMatch } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";
import { ServerAcls } from "./server-acl.ts";
import type { Tenants } from "./tenants.ts";

export interface AttendedRooms {
  /** How things stand with rooms; null for a room that is yet to be made. */
  counts(roomId: RoomId | null): Promise<RoomCounts>;
  /** How many live leases a holder has, in this room none counted. */
  heldBy(holder: Holder, except: RoomId | null): Promise<HeldRooms>;
}

export interface HeldRooms {
  readonly rooms: number;
  /** Those whose room is wanted and not yet joined. */
  readonly underWay: number;
}

export interface RoomCounts {
  /** How many rooms the pseudouser is in or on its way into, this one left out. */
  readonly others: number;
  /** How many rooms are wanted and not yet joined, this one left out. */
  readonly underWay: number;
  /** Whether this one is. */
  readonly isUnderWay: boolean;
}

/** Somebody's wish for the pseudouser to be in a room, as far as policy goes. */
export interface Ask {
  readonly roomId: RoomId;
  readonly holder: Holder;
  readonly via: readonly ServerName[];
  /** The name by which the holder asks for the room, where it does not by ID. */
  readonly alias?: RoomAlias | null;
  /** Who invites the local user that the wish is for. */
  readonly inviter?: UserId | null;
  /** How many upgrades the lease has come through. */
  readonly upgrades?: number;
  /** The room that this one truly replaces, and where the lease is: a grant that names that counts as one that names this. */
  readonly replaces?: RoomId | null;
  /** What an invite tells of the room, for where the homeserver can tell nothing. */
  readonly told?: RoomSummary | null;
}

const NOTHING_HELD: HeldRooms = { rooms: 0, underWay: 0 };

export interface PolicyInputParts {
  readonly own: UserId;
  readonly ledger: Ledger;
  readonly looker: SummarySource;
  readonly attended: AttendedRooms;
  readonly tenants: Pick<Tenants, "byId">;
  readonly rules: RuleBook;
  readonly pointers: Pick<Pointers, "pointing">;
  readonly coolDowns: CoolDowns;
  readonly limits: Limits;
  readonly clock: Clock;
  /** Shared with whoever else asks through routes; its own where left out. */
  readonly health?: RouteHealth;
}

export interface Weighed {
  readonly question: Question;
  /** The code that a refusal is told by; null for that of the verdict. */
  readonly told: VerdictCode | null;
  /** Who pays for the join that follows; empty where none does. */
  readonly subjects: readonly BudgetSubject<BudgetKind>[];
  /** Those of the wish that may be asked for the room. */
  readonly via: readonly ServerName[];
}

/** Gathers what a verdict needs: from the ledger where we are in the room, and from the homeserver where not. */
export class PolicyInputs {
  readonly #parts: PolicyInputParts;
  readonly #server: ServerName;
  readonly #looks: RoomSummaries;
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
    this.#looks = new RoomSummaries(parts.looker, parts.clock, this.#health);
    this.#routes = new Routes(parts.rules, this.#acls);
    this.#roomRules = new RoomRules(parts.rules, parts.pointers);
  }

  /** Goes by other limits from now on. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
  }

  /**
   * All that is known of a wish.
   * @param fresh whether the homeserver is asked whatever it answered before
   * @throws EmissaryError where it cannot be asked
   */
  async gather(ask: Ask, stage: Stage, fresh = false): Promise<Weighed> {
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
    const gain = {
      roomId,
      own: this.#server,
      inviter,
      creator: room?.creator ?? null,
      aliasServer: alias === null ? null : serverOf(alias),
      via: routes,
    };
    const servers = gainingServers(gain);
    const names = [alias, room?.canonicalAlias ?? null].filter((name) => name !== null);
    const ofRoom = await this.#roomRules.of(roomId, names, isHeld, alias);
    const ofOthers = rules.matches([
      ...servers.map((text): Entity => ({ kind: "server", text })),
      ...[inviter, gain.creator].filter((user) => user !== null).map((text): Entity => ({ kind: "user", text })),
      ...tenantEntity(holder),
    ]);
    const matches = [...ofRoom.matches, ...ofOthers];
    // Somebody whom a room does not concern gets one answer, in one way, whether we are in it, or it is there at all.
    const asStranger = stage === "take" && !fresh && isStranger(holder, granted.word);
    const known = isKnown ? lookOf(room) : null;
    const isSeen = known !== null && (!asStranger || isShown(known));
    const named = asStranger ? matches.filter(({ entity }) => isNamedBy(ask, entity)) : matches;
    // Where a rule denies the room already, nobody is asked whether its routes do, too.
    const isSettled = !fresh && holder.kind !== "operator" && isDenied(matches) && isDenied(named);
    const deniedRoutes = isSettled
      ? []
      : await this.#deniedRoutes(ask, asStranger && !isSeen ? null : room, fresh, asStranger);
    // Neither the operator's word nor a denial depends on how the room looks, so the homeserver is not asked.
    const isMoot = !fresh && (holder.kind === "operator" || isSettled || deniedRoutes.length > 0);
    const via = asStranger ? mergeVia(ask.via, shownRoutes(room)) : routes;
    const look = isSeen
      ? known
      : isMoot
        ? null
        : ((await this.#looks.look(holder, roomId, this.#routes.open(via, acl), { fresh, asStranger })) ??
          ask.told ??
          null);
    const isHidden = asStranger && look === null && !isMoot;
    const counts = await attended.counts(roomId);
    const causesJoin = room?.ownMembership !== "join" && (stage === "join" || !counts.isUnderWay);
    return {
      // That an alias was pointed elsewhere tells nothing of the room: the directory says it to everybody.
      told: !isHidden ? null : granted.word === "none" || granted.moved !== null ? "not-allowed" : "not-visible",
      subjects: causesJoin ? subjectsOf(holder, roomId, servers, granted.word === "named") : [],
      via: this.#routes.open(ask.via, acl),
      question: {
        ...this.#questionOf(stage, holder, counts, await this.#heldBy(holder, roomId)),
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

  /** The question whether one more room may be made, of which nothing is known. */
  async oneMore(holder: Holder): Promise<Question> {
    const counts = await this.#parts.attended.counts(null);
    return {
      ...this.#questionOf("join", holder, counts, await this.#heldBy(holder, null)),
      word: "named",
      matches: this.#parts.rules.matches(tenantEntity(holder)),
    };
  }

  /** The routes that were tried let nobody in. */
  misled(roomId: RoomId): void {
    this.#health.misled(roomId);
  }

  /** Whether the operator's rules name the room as an exception from what is said against it, its rate included. */
  async isExcepted(roomId: RoomId): Promise<boolean> {
    const room = await this.#parts.ledger.room(roomId);
    const names = room?.canonicalAlias == null ? [] : [room.canonicalAlias];
    const { matches } = await this.#roomRules.of(roomId, names, room?.ownMembership === "join");
    return isRoomAllowed(matches);
  }

  /** What rules say of an invite of the pseudouser. What it calls its room counts against it only. */
  async ofInvite(roomId: RoomId, names: readonly string[], inviter: UserId): Promise<readonly RuleMatch[]> {
    const ofInviter = this.#parts.rules.matches([
      { kind: "server", text: serverOf(inviter) },
      { kind: "user", text: inviter },
    ]);
    return [...(await this.#roomRules.ofInvite(roomId, names)), ...ofInviter];
  }

  /** Those of a room's routes that may be asked for it now, in the order in which to try them. Finds that out where it is not known. */
  async routes(roomId: RoomId, via: readonly ServerName[]): Promise<readonly ServerName[]> {
    const open = this.#routes.open(via, aclOf(await this.#parts.ledger.room(roomId)));
    await this.#looks.probe(roomId, open);
    return this.#health.passable(roomId, open);
  }

  /** The rules against all routes of a room, where we need one; a homeserver whose users are in it tells of the room without. */
  async #deniedRoutes(
    { roomId, holder, via }: Ask,
    room: Room | null,
    fresh: boolean,
    asStranger: boolean,
  ): Promise<readonly RuleMatch[]> {
    // The homeserver knows who invited us, and asks that server.
    if (room?.ownMembership === "join" || room?.ownMembership === "invite") return [];
    const denied = this.#routes.allDenied([...via, ...(room?.via ?? [])], aclOf(room));
    if (denied.length === 0) return [];
    return (await this.#looks.look(holder, roomId, [], { fresh, asStranger })) === null ? denied : [];
  }

  /**
   * Whether a user of our server is in the room or invited (MSC1777). What the ledger knows of rooms that we are not in depends on what
   * our registration has us told; but a homeserver that is asked without routes describes only rooms that one of its users is in.
   */
  async #isVouchedFor(
    { roomId, holder }: Ask,
    room: Room | null,
    look: RoomSummary | null,
    fresh: boolean,
  ): Promise<boolean> {
    const hasRule = hasPeekableRule(look?.version);
    // The commonest room, and in it nobody has to vouch.
    if (look?.joinRule === "public" && !hasRule) return false;
    if (await this.#parts.ledger.hasMemberOf(roomId, this.#server)) return true;
    if (!hasRule || look?.joinRule === PEEKABLE || room?.ownMembership === "join") return false;
    return (await this.#looks.look(holder, roomId, [], { fresh })) !== null;
  }

  /** A tenant's alone: what others may have of the rooms is said by kind, and by budgets. */
  async #heldBy(holder: Holder, except: RoomId | null): Promise<HeldRooms> {
    return holder.kind === "tenant" ? this.#parts.attended.heldBy(holder, except) : NOTHING_HELD;
  }

  #questionOf(stage: Stage, { kind }: Holder, counts: RoomCounts, held: HeldRooms): Question {
    return {
      stage,
      kind,
      word: null,
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

  /** What the operator said of the room to the tenant that asks. */
  async #grantedTo(
    { roomId, holder, alias = null, replaces = null }: Ask,
    room: Room | null,
    stage: Stage,
  ): Promise<{ readonly word: Word | null; readonly moved: MovedAlias | null }> {
    if (holder.kind !== "tenant") return { word: null, moved: null };
    const tenant = this.#parts.tenants.byId(holder.name);
    if (tenant === null) return { word: "none", moved: null };
    if (replaces !== null && tenant.grants.some((grant) => namesRoom(grant, replaces)))
      return { word: "named", moved: null };
    const points =
      alias !== null &&
      goesByAlias(tenant, alias) &&
      (await this.#parts.pointers.pointing(alias, roomId, room?.ownMembership === "join")) === "there";
    const word = wordFor(tenant, { id: roomId, alias: points ? alias : null }, room?.createdFor ?? null);
    // Once the tenant is in the room, what matters is whether it may be there, and no more by which name it came.
    const moved = word === "named" || alias === null || stage === "hold" ? null : movedAlias(tenant, alias, roomId);
    return { word, moved };
  }
}

/** Whoever has neither the operator's word for the room nor a lease of the operator's own making. */
function isStranger({ kind }: Holder, word: Word | null): boolean {
  return kind === "peek" || (kind === "tenant" && word !== "named");
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

/**
 * The room's access list where we are in the room. Outside, what we hold is hearsay: it may have been lifted long ago, and whoever is
 * resident refuses at once.
 */
function aclOf(room: Room | null): string | null {
  return room?.ownMembership === "join" ? room.serverAcl : null;
}

function lookOf(room: Room): RoomSummary {
  return {
    ...opennessOf(room),
    joinedMembers: null,
    encryption: room.encryption,
  };
}
