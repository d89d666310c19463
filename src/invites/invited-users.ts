import type { Journal, JournalEntry } from "../ledger/journal.ts";
import type { SharedJournal } from "../ledger/shared-journal.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Recorder } from "../ledger/recorder.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import type { LeaseStore } from "../attendance/store/leases.ts";
import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { isUserId, localpartOf, serverOf, type RoomId, type UserId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import { readerOf } from "../model/reader.ts";
import { workUntil } from "../concurrency/worker.ts";
import { Budgets, type Budget, type BudgetSubject } from "../policy/budgets.ts";
import type { RoomSummary } from "../policy/question.ts";
import type { Tenants } from "../policy/tenants.ts";
import { hasPeekableRule } from "../auth/version.ts";
import { isStateEvent, type RoomEvent } from "../model/event.ts";
import { objectsOf, stringAt } from "../model/json.ts";

/** Events read at once, and inviting servers handled concurrently: a slow one must not delay the others. */
const BATCH = 100;
const SERVERS_AT_ONCE = 8;
/** Invited local users to look for when we are invited, too. */
const INVITED_TOGETHER = 100;

const HOUR_MS = 60 * 60_000;
/** Budgets for summaries of rooms with invites: each costs a request over federation, whatever the result. */
const SUMMARIES = {
  "summaries-server": { joins: 100, per: HOUR_MS },
  "summaries-all": { joins: 1_000, per: HOUR_MS },
} as const;
type InviteBudgetKind = "server" | "inviter" | keyof typeof SUMMARIES;

export interface InviteOptions {
  /** How long we stay for an unanswered invite, milliseconds. */
  readonly wait: number;
  readonly joinsPerServer: Budget;
  readonly joinsPerInviter: Budget;
}

export interface InvitedUsersParts {
  readonly own: UserId;
  readonly journal: Pick<SharedJournal, "read">;
  readonly cursors: Pick<Journal, "open" | "advance" | "drop">;
  readonly ledger: Pick<Ledger, "member" | "members" | "room">;
  readonly leases: Pick<LeaseStore, "find" | "ofRoom">;
  readonly desk: LeaseDesk;
  readonly tenants: Pick<Tenants, "all" | "isPersona">;
  readonly recorder: Pick<Recorder, "committed">;
  readonly options: InviteOptions;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The name of the journal cursor. */
const CONSUMER = "invites";

interface Invited {
  readonly roomId: RoomId;
  readonly user: UserId;
  readonly mayBeOpen: boolean;
  readonly told: RoomSummary | null;
  readonly receivedAt: number;
}

/**
 * Takes leases for local users whom users of other servers invite, until the signal aborts. The journal is only the
 * trigger, and invites are in the ledger: reading an event twice has no further effect.
 */
export class InvitedUsers {
  readonly #parts: InvitedUsersParts;
  readonly #budgets: Budgets<InviteBudgetKind>;

  constructor(parts: InvitedUsersParts) {
    this.#parts = parts;
    const { joinsPerServer, joinsPerInviter } = parts.options;
    this.#budgets = new Budgets({ server: joinsPerServer, inviter: joinsPerInviter, ...SUMMARIES }, parts.clock);
  }

  /** Drops the journal cursor, which would otherwise hold back the journal's trimming. */
  async forgo(): Promise<void> {
    await this.#parts.cursors
      .drop(CONSUMER)
      .catch((error: unknown) => this.#parts.log.error("invites.round-failed", { error }));
  }

  run(abort: AbortSignal): Promise<void> {
    const { cursors, journal, recorder, clock, log } = this.#parts;
    let place: number | null = null;
    return workUntil(abort, {
      round: async () => {
        place ??= await cursors.open(CONSUMER);
        const entries = await journal.read(place, BATCH);
        const last = entries.at(-1)?.seq;
        if (last === undefined) return null;
        await this.#seeTo(entries);
        await cursors.advance(CONSUMER, last);
        place = last;
        return 0;
      },
      signals: [recorder.committed],
      failed: (error) => log.error("invites.round-failed", { error }),
      clock,
    });
  }

  readonly #isTenants = (user: UserId): boolean => {
    const { tenants, own } = this.#parts;
    if (user === readerOf(serverOf(own))) return true;
    return tenants.all().some((tenant) => tenants.isPersona(tenant, user));
  };

  async #seeTo(entries: readonly JournalEntry[]): Promise<void> {
    const invited = new Map<string, Invited>();
    for (const { event, receivedAt } of entries) {
      const news = inviteNewsIn(event, { own: this.#parts.own, isTenants: this.#isTenants });
      if (news === null) continue;
      for (const each of news.of === "user" ? [news] : await this.#invitedWithUs(news.roomId)) {
        invited.set(`${each.roomId}\n${each.user}`, { ...each, receivedAt });
      }
    }
    const open: { readonly invited: Invited; readonly inviter: UserId }[] = [];
    for (const each of invited.values()) {
      const inviter = await this.#inviterOf(each);
      if (inviter === null) await this.#release(each);
      else open.push({ invited: each, inviter });
    }
    await this.#inLanes([...Map.groupBy(open, ({ inviter }) => serverOf(inviter)).values()]);
  }

  /** Handles one server's invites in sequence, so that each payment counts for the next invite. */
  async #inLanes(servers: (readonly { readonly invited: Invited; readonly inviter: UserId }[])[]): Promise<void> {
    const lane = async (): Promise<void> => {
      for (let ofServer = servers.pop(); ofServer !== undefined; ofServer = servers.pop()) {
        for (const { invited, inviter } of ofServer) await this.#hold(invited, inviter);
      }
    };
    await Promise.all(Array.from({ length: SERVERS_AT_ONCE }, lane));
  }

  /** Returns the inviter of the user, if from another server; else null. */
  async #inviterOf({ roomId, user }: Invited): Promise<UserId | null> {
    const { ledger, own } = this.#parts;
    const member = await ledger.member(roomId, user);
    return member?.membership === "invite" && serverOf(member.sender) !== serverOf(own) ? member.sender : null;
  }

  /** Returns local users invited to a room that we are now invited to. */
  async #invitedWithUs(roomId: RoomId): Promise<readonly Omit<Invited, "receivedAt">[]> {
    const { ledger, own } = this.#parts;
    const members = await ledger.members(roomId, { membership: "invite", after: null, limit: INVITED_TOGETHER });
    return members
      .map(({ userId: user }) => user)
      .filter((user) => user !== own && serverOf(user) === serverOf(own))
      .filter((user) => !this.#isTenants(user))
      .map((user) => ({ roomId, user, mayBeOpen: true, told: null }));
  }

  async #release({ roomId, user }: Invited): Promise<void> {
    const holder = { kind: "invite", name: user } as const;
    if ((await this.#parts.leases.find(roomId, holder)) !== null) await this.#parts.desk.release(roomId, holder);
  }

  /** Takes the user's lease if nothing forbids it. A refused lease is not retried. */
  async #hold({ roomId, user, mayBeOpen, told, receivedAt }: Invited, inviter: UserId): Promise<void> {
    const { leases, ledger, desk, options, clock, log } = this.#parts;
    const holder = { kind: "invite", name: user } as const;
    const ttl = Math.min(receivedAt, clock.now()) + options.wait - clock.now();
    if (ttl <= 0 || (await leases.find(roomId, holder)) !== null) return;
    const room = await ledger.room(roomId);
    const membership = room?.ownMembership ?? null;
    if (!mayBeOpen && membership !== "invite" && membership !== "join") return;
    // If we are there already for another holder, this lease causes no join.
    const causesJoin = membership !== "join" && (await leases.ofRoom(roomId)).length === 0;
    const server = serverOf(inviter);
    const subjects: readonly BudgetSubject<InviteBudgetKind>[] = [
      { kind: "server", name: server },
      { kind: "inviter", name: inviter },
    ];
    const summaries: readonly BudgetSubject<InviteBudgetKind>[] = [
      { kind: "summaries-server", name: server },
      { kind: "summaries-all", name: "" },
    ];
    if (causesJoin) {
      if (this.#budgets.shortage([...subjects, ...summaries]) !== null) {
        await desk.noteRefusal({ roomId, holder, via: [server] }, "budget-invites");
        return;
      }
      this.#budgets.spend(summaries);
    }
    try {
      await desk.take({ roomId, holder, via: [server], inviter, ttl, claims: told });
      if (causesJoin) this.#budgets.spend(subjects);
    } catch (error) {
      // An internal failure is no refusal: the event is read again.
      if (!(error instanceof EmissaryError) || error.code === "internal") throw error;
      log.debug("invite.not-taken", { room: roomId, reason: error.reason ?? error.code });
    }
  }
}

/** An invite found in an event. `us`: the pseudouser itself is invited, which may open the room for others' leases. */
type InviteNews =
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

/**
 * Returns the invite in an event; null if it has none, or one of a remote user or of an account that answers none.
 * @param isTenants whether a user is the reader, or a tenant's sender or persona. Nobody uses these from a client.
 */
export function inviteNewsIn(
  event: RoomEvent,
  { own, isTenants }: { readonly own: UserId; readonly isTenants: (user: UserId) => boolean },
): InviteNews | null {
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
  const state = objectsOf(unsigned?.["invite_room_state"]);
  const text = (type: string, key: string): string | null => {
    const [content] = objectsOf(
      state.filter((entry) => entry["type"] === type).map((entry) => entry["content"] ?? null),
    );
    return content === undefined ? null : stringAt(content, key);
  };
  return {
    version: text("m.room.create", "room_version"),
    joinRule: text("m.room.join_rules", "join_rule"),
    encryption: text("m.room.encryption", "algorithm"),
  };
}
