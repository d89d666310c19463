import type { Clock } from "../model/clock.ts";
import { serverOf, type RoomAlias, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import type { Holder } from "../model/lease.ts";
import { mergeVia, type Room } from "../model/room.ts";
import type { RuleFinding, Verdict } from "../model/verdict.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Budgets, Payer, Shortage } from "./budgets.ts";
import type { CoolDowns } from "./cool-downs.ts";
import { findings, judge } from "./judge.ts";
import { Looks, type RoomLooker } from "./looks.ts";
import { isDenied, isRoomAllowed } from "./objections.ts";
import { opennessOf } from "./openness.ts";
import { hasPeekableRule, PEEKABLE } from "./peekable/version.ts";
import { gainers, payersOf, type BudgetKind } from "./payers.ts";
import { wordFor, type Word } from "./permit.ts";
import type { Limits, Question, RoomLook, Stage } from "./question.ts";
import type { Entity } from "./rule.ts";
import type { RuleBook } from "./rule-book.ts";
import { ServerAcls } from "./server-acl.ts";
import type { Tenants } from "./tenants.ts";

export interface AttendedRooms {
  /** How things stand with rooms; null for a room that is yet to be made. */
  counts(roomId: RoomId | null): Promise<RoomCounts>;
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
  /** What an invite tells of the room, for where the homeserver can tell nothing. */
  readonly told?: RoomLook | null;
}

export interface PolicyParts {
  readonly own: UserId;
  readonly ledger: Ledger;
  readonly looker: RoomLooker;
  readonly attended: AttendedRooms;
  readonly tenants: Pick<Tenants, "byId">;
  readonly rules: RuleBook;
  readonly coolDowns: CoolDowns;
  readonly budgets: Budgets<BudgetKind>;
  readonly limits: Limits;
  readonly clock: Clock;
}

interface Weighed {
  readonly question: Question;
  /** Who pays for the join that follows; empty where none does. */
  readonly payers: readonly Payer<BudgetKind>[];
  /** Those of the wish that may be asked for the room. */
  readonly via: readonly ServerName[];
}

/** Gathers what a verdict needs, from the ledger where we are in the room and from the homeserver where not, and has it judged. */
export class Policy {
  readonly #parts: PolicyParts;
  readonly #server: ServerName;
  readonly #looks: Looks;
  readonly #acls = new ServerAcls();
  #limits: Limits;
  /** Rooms that were paid for and whose lease is being booked: others who come meanwhile cause no join of their own. */
  readonly #paid = new Map<RoomId, number>();

  constructor(parts: PolicyParts) {
    this.#parts = parts;
    this.#server = serverOf(parts.own);
    this.#limits = parts.limits;
    this.#looks = new Looks(parts.looker, parts.clock);
  }

  /** Judges by other limits from now on. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
  }

  /**
   * Judges a wish, without anybody paying for it: `join` before a join that was paid for, `hold` while we are there.
   * @throws EmissaryError where the homeserver cannot be asked.
   */
  async judge(ask: Ask, stage: Exclude<Stage, "take">): Promise<Verdict> {
    const { question } = await this.#weigh(ask, stage);
    return judge(question);
  }

  /**
   * Judges a wish for a lease. Where it is allowed and a join follows, that is paid for, and `book` is called with it paid.
   * @throws EmissaryError where the homeserver cannot be asked; what `book` throws
   */
  async admit<Booked>(
    ask: Ask,
    book: (via: readonly ServerName[]) => Promise<Booked>,
  ): Promise<{ readonly verdict: Verdict; readonly booked: Booked | null }> {
    const { question, payers, via } = await this.#weigh(ask, "take");
    // What others have paid meanwhile counts: from here to the payment nothing else happens.
    const isPaid = payers.length === 0 || this.#paid.has(ask.roomId);
    const shortage = isPaid ? null : this.#parts.budgets.shortage(payers);
    const verdict = judge({ ...question, shortage });
    if (!verdict.allowed) return { verdict, booked: null };
    if (!isPaid) this.#parts.budgets.spend(payers);
    this.#paid.set(ask.roomId, (this.#paid.get(ask.roomId) ?? 0) + 1);
    try {
      return { verdict, booked: await book(via) };
    } finally {
      const others = (this.#paid.get(ask.roomId) ?? 1) - 1;
      if (others === 0) this.#paid.delete(ask.roomId);
      else this.#paid.set(ask.roomId, others);
    }
  }

  /** Has those pay who gain by a join that nobody asked the desk for: a lease that came with an upgrade. Null where all could. */
  async charge(ask: Ask): Promise<Shortage<BudgetKind> | null> {
    const { payers } = await this.#weigh(ask, "join");
    const shortage = this.#parts.budgets.shortage(payers);
    if (shortage === null) this.#parts.budgets.spend(payers);
    return shortage;
  }

  /** What every rule says to a wish, the homeserver asked anew. Nobody pays. @throws EmissaryError as judge does */
  async explain(ask: Ask): Promise<{ readonly verdict: Verdict; readonly findings: readonly RuleFinding[] }> {
    const { question, payers } = await this.#weigh(ask, "take", true);
    const asked = { ...question, shortage: this.#parts.budgets.shortage(payers) };
    return { verdict: judge(asked), findings: findings(asked) };
  }

  /** Whether one more room may be made: of a room that is not there yet, the number of rooms is all there is to judge. */
  async judgeOneMore(holder: Holder): Promise<Verdict> {
    const counts = await this.#parts.attended.counts(null);
    return judge({
      ...this.#questionOf("join", holder, counts),
      word: "named",
      standings: this.#parts.rules.standings(tenantEntity(holder)),
    });
  }

  /** Whether the operator's rules name the room as an exception from what is said against it, its rate included. */
  async isExcepted(roomId: RoomId): Promise<boolean> {
    const alias = (await this.#parts.ledger.room(roomId))?.canonicalAlias ?? null;
    const names = alias === null ? [roomId] : [roomId, alias];
    return isRoomAllowed(this.#parts.rules.standings(names.map((text): Entity => ({ kind: "room", text }))));
  }

  /** Those of a room's routes that may be asked for it now. */
  async routes(roomId: RoomId, via: readonly ServerName[]): Promise<readonly ServerName[]> {
    return this.#routes(via, (await this.#parts.ledger.room(roomId))?.serverAcl ?? null);
  }

  /**
   * Routes without servers that are denied, for to ask one of these for a room would be to have to do with it, and without those
   * that the room's own access list keeps out, for they cannot lead there.
   */
  #routes(via: readonly ServerName[], acl: string | null): readonly ServerName[] {
    const isDenied = (text: ServerName): boolean =>
      this.#parts.rules.ruleFor({ kind: "server", text })?.verdict === "deny";
    return via.filter((server) => !isDenied(server) && (acl === null || !this.#acls.keepsOut(acl, server)));
  }

  async #weigh(ask: Ask, stage: Stage, fresh = false): Promise<Weighed> {
    const { ledger, attended, rules, coolDowns, own, clock } = this.#parts;
    const { roomId, holder, alias = null } = ask;
    const room = await ledger.room(roomId);
    const acl = room?.serverAcl ?? null;
    const isKnown = room !== null && room.ownMembership === "join" && room.load === "loaded";
    const names = [roomId, alias, room?.canonicalAlias ?? null].filter((name) => name !== null);
    const word = this.#wordFor(holder, names, room);
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
    const servers = gainers(gain);
    const standings = rules.standings([
      ...names.map((text): Entity => ({ kind: "room", text })),
      ...servers.map((text): Entity => ({ kind: "server", text })),
      ...[inviter, gain.creator].filter((user) => user !== null).map((text): Entity => ({ kind: "user", text })),
      ...tenantEntity(holder),
    ]);
    // Neither the operator's word nor a denial depends on how the room looks, so the homeserver is not asked.
    const isMoot = !fresh && (holder.kind === "operator" || isDenied(standings));
    const look = isKnown
      ? lookOf(room)
      : isMoot
        ? null
        : ((await this.#looks.look(holder, roomId, this.#routes(routes, acl), fresh)) ?? ask.told ?? null);
    const counts = await attended.counts(roomId);
    const causesJoin = room?.ownMembership !== "join" && (stage === "join" || !counts.isUnderWay);
    return {
      payers: causesJoin ? payersOf(holder, roomId, servers, word === "named") : [],
      via: this.#routes(ask.via, acl),
      question: {
        ...this.#questionOf(stage, holder, counts),
        word,
        ownMembership: room?.ownMembership ?? null,
        look,
        vouched: await this.#isVouchedFor(ask, room, look, fresh),
        standings,
        aclDenies: acl === null ? null : this.#acls.keepsOut(acl, this.#server),
        coolDown: await coolDowns.of(roomId, clock.now()),
        upgrades: ask.upgrades ?? 0,
      },
    };
  }

  /**
   * Whether a user of our server is in the room or invited (MSC1777). What the ledger knows of rooms that we are not in depends on what
   * our registration has us told; but a homeserver that is asked without routes describes only rooms that one of its users is in.
   */
  async #isVouchedFor(
    { roomId, holder }: Ask,
    room: Room | null,
    look: RoomLook | null,
    fresh: boolean,
  ): Promise<boolean> {
    const hasRule = hasPeekableRule(look?.version);
    // The commonest room, and in it nobody has to vouch.
    if (look?.joinRule === "public" && !hasRule) return false;
    if (await this.#parts.ledger.hasMemberOf(roomId, this.#server)) return true;
    if (!hasRule || look?.joinRule === PEEKABLE || room?.ownMembership === "join") return false;
    return (await this.#looks.look(holder, roomId, [], fresh)) !== null;
  }

  #questionOf(stage: Stage, { kind }: Holder, counts: RoomCounts): Question {
    return {
      stage,
      kind,
      word: null,
      ownMembership: null,
      look: null,
      vouched: false,
      standings: [],
      aclDenies: null,
      coolDown: null,
      upgrades: 0,
      roomsAttended: counts.others,
      joinsUnderWay: counts.isUnderWay ? 0 : counts.underWay,
      shortage: null,
      now: this.#parts.clock.now(),
      limits: this.#limits,
    };
  }

  #wordFor({ kind, name }: Holder, names: readonly string[], room: Room | null): Word | null {
    if (kind !== "tenant") return null;
    const tenant = this.#parts.tenants.byId(name);
    return tenant === null ? "none" : wordFor(tenant, names, room?.createdFor ?? null);
  }
}

function tenantEntity({ kind, name }: Holder): readonly Entity[] {
  return kind === "tenant" ? [{ kind, text: name }] : [];
}

function lookOf(room: Room): RoomLook {
  return {
    ...opennessOf(room),
    joinedMembers: null,
    encryption: room.encryption,
  };
}
