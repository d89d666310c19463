import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { Hold } from "../../concurrency/bytes-held.ts";
import { withLimit } from "../../model/clock.ts";
import { written } from "../../model/json.ts";
import { Shares } from "../../concurrency/shares.ts";
import type { Signal } from "../../concurrency/signal.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Feed } from "../feed/feed.ts";
import type { Journal } from "../../ledger/journal.ts";
import type { Openings, Position } from "../../ledger/openings.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { SqlitePersonaStore } from "../store/personas.ts";
import type { LeaseChange, LeaseChangesStore } from "../store/lease-changes.ts";
import type { SyncFactsStore } from "../store/sync-facts.ts";
import { answerTexts, type Answer } from "./answer.ts";
import type { AnswerParts } from "./room-state.ts";
import type { SyncFilter } from "./filter.ts";
import { packed, type Pieces } from "./packed.ts";
import { planOf, type SyncStep } from "./plan.ts";
import { LIMITS, openInvitesOf, recentIn } from "./recent.ts";
import { positionOf } from "./token.ts";

export interface SyncParts extends AnswerParts {
  readonly tenants: Pick<Tenants, "viewerOf" | "isPersona" | "all">;
  readonly personas: Pick<SqlitePersonaStore, "inRoom" | "profile">;
  readonly facts: Pick<SyncFactsStore, "openInvites" | "headsIn">;
  readonly feed: Feed;
  readonly journal: Pick<Journal, "bounds">;
  readonly changes: Pick<LeaseChangesStore, "since" | "newest">;
  readonly openings: Openings;
  /** Called when a tenant's token cannot be continued and the tenant starts anew. */
  readonly missed: (tenant: TenantId, why: Missed) => void;
  readonly news: readonly Signal[];
  readonly stopping: AbortSignal;
}

/** Why a token cannot be continued: a database copy was restored, or the journal no longer goes back so far. */
export type Missed = "restored" | "too-old";

export interface SyncAsk {
  /** The token of an earlier answer; null, or another server's token, for the beginning. */
  readonly since: string | null;
  readonly wait: number;
  readonly isFull: boolean;
  readonly filter: SyncFilter;
}

/** A first sync's events of each room without a filter's limit, and the journal entries it searches for them. */
const FIRST_LIMIT = 10;
const FIRST_LOOK = 1_000;
const MAX_INVITES = 1_000;
/** Memory reserved for room state, which streams through. */
const STATE_BYTES = 4 * 1024 * 1024;
/** The longest wait for news, milliseconds, and how many syncs of one tenant wait at once. */
const MAX_WAIT_MS = 60_000;
const MAX_WAITING = 8;
/** Answers composed at once. A sync that begins anew, or does not wait for news, takes its turn. */
const MAKING = { common: 4, each: 2, own: 1, waitingEach: 100, waiting: 1_000, wait: 30_000 } as const;

/** Long polling for tenants that have no HTTP server: serves the journal and lease changes as answers to `/sync`. */
export class TenantSync {
  readonly #parts: SyncParts;
  readonly #waiting = new Map<TenantId, number>();
  readonly #making: Shares;

  constructor(parts: SyncParts) {
    this.#parts = parts;
    this.#making = new Shares("syncs", MAKING, parts.clock);
  }

  /**
   * Returns the answer's text, made as it is read.
   * @param gone aborts when the answer was taken, or its caller went away
   * @throws EmissaryError `limited`; also while the text is read, why the homeserver does not give a room's state
   */
  async sync(tenant: Tenant, ask: SyncAsk, gone: AbortSignal, hold: Hold): Promise<Pieces> {
    const position = ask.since === null ? null : positionOf(ask.since);
    const from = position === null ? null : await this.#known(position);
    if (from === null || typeof from === "string") {
      const answer = await this.#inTurn(tenant, gone, () => this.#beginning(tenant, ask, hold));
      if (from !== null) this.#parts.missed(tenant.id, from);
      return answer;
    }
    if (ask.wait === 0 || ask.isFull) {
      const now = AbortSignal.abort();
      return this.#inTurn(tenant, gone, () => this.#untilNews(tenant, ask, from, now, hold));
    }
    const waiting = this.#waiting.get(tenant.id) ?? 0;
    if (waiting >= MAX_WAITING) {
      throw new EmissaryError("limited", `Tenant ${tenant.id} has ${waiting} syncs waiting already.`, {
        retryAfter: 1_000,
      });
    }
    this.#waiting.set(tenant.id, waiting + 1);
    const parent = AbortSignal.any([gone, this.#parts.stopping]);
    try {
      const answer = await withLimit(this.#parts.clock, Math.min(ask.wait, MAX_WAIT_MS), parent, (limit) =>
        this.#untilNews(tenant, ask, from, AbortSignal.any([limit, parent]), hold),
      );
      return packed(answerTexts(this.#parts, answer, gone));
    } finally {
      const left = (this.#waiting.get(tenant.id) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(tenant.id);
      else this.#waiting.set(tenant.id, left);
    }
  }

  /** Composes an answer that keeps its turn until its last piece is made or its caller is gone. */
  async #inTurn(tenant: Tenant, gone: AbortSignal, make: () => Promise<Answer>): Promise<Pieces> {
    const place = await this.#making.take(tenant.id, gone);
    const end = (): void => place.free();
    // A generator that nobody reads does not end by itself.
    gone.addEventListener("abort", end, { once: true });
    if (gone.aborted) end();
    try {
      return packed(answerTexts(this.#parts, await make(), gone), end);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Returns where to continue, or why the tenant must start anew. */
  async #known(position: Position): Promise<Position | Missed> {
    const { openings, journal, changes } = this.#parts;
    const { first, last } = await journal.bounds();
    if (!openings.has(position, { seq: last, change: await changes.newest() })) return "restored";
    if (position.seq < first - 1) return "too-old";
    return { ...position, opening: openings.name };
  }

  async #beginning(tenant: Tenant, ask: SyncAsk, hold: Hold): Promise<Answer> {
    const { journal, changes, facts, own, openings, feed } = this.#parts;
    const { filter } = ask;
    // Read before the rooms are: the next sync tells what happens meanwhile, at worst twice.
    const { first, last } = await journal.bounds();
    const change = await changes.newest();
    const leases = await this.#leasesOf(tenant);
    const left = filter.includesLeft ? await changes.since(tenant.id, 0) : [];
    const limit = filter.limit ?? FIRST_LIMIT;
    const recent = await recentIn(feed, tenant, Math.max(first - 1, last - FIRST_LOOK), last, { limit, filter });
    const open = await facts.openInvites(own, MAX_INVITES);
    const step = await this.#stepOf(tenant, ask, {
      at: { opening: openings.name, seq: last, change },
      // A tenant with an old token has had earlier events, and can still request them.
      events: ask.since === null ? recent.filter(({ event }) => leases.has(event.room_id)) : [],
      changes: [...leases.values(), ...left.filter(({ ended }) => ended !== null)],
      leases,
      limit,
    });
    const invite = filter.hasRooms ? openInvitesOf(this.#parts, tenant, open, leases, recent) : [];
    return heldBy(hold, { step, plan: { ...planOf(step), invite } });
  }

  async #untilNews(tenant: Tenant, ask: SyncAsk, from: Position, until: AbortSignal, hold: Hold): Promise<Answer> {
    const { changes, feed, news } = this.#parts;
    let { seq } = from;
    for (;;) {
      const woken = new AbortController();
      const signals = news.map((signal) => signal.next(AbortSignal.any([until, woken.signal])));
      try {
        const change = await changes.newest();
        const changed = change === from.change ? [] : await changes.since(tenant.id, from.change);
        const { events, upTo, isMore } = await feed.read(tenant, seq, LIMITS);
        seq = upTo;
        if (events.length > 0 || changed.length > 0 || until.aborted) {
          const leases = await this.#leasesOf(tenant);
          const at = { opening: from.opening, seq, change };
          const known = { at, events, changes: changed, leases, limit: ask.filter.limit };
          const step = await this.#stepOf(tenant, ask, known);
          const plan = planOf(step);
          // If the filter leaves nothing of a change, it is not news.
          const isNews = plan.join.length > 0 || plan.leave.length > 0 || plan.invite.length > 0;
          if (isNews || until.aborted) return await heldBy(hold, { step, plan });
        }
        if (!isMore) await Promise.race(signals);
      } finally {
        woken.abort();
      }
    }
  }

  async #leasesOf(tenant: Tenant): Promise<ReadonlyMap<RoomId, LeaseChange>> {
    const leases = await this.#parts.changes.since(tenant.id, null);
    return new Map(leases.map((lease) => [lease.roomId, lease]));
  }

  async #stepOf(
    tenant: Tenant,
    { filter, isFull, since }: SyncAsk,
    known: Pick<SyncStep, "at" | "events" | "changes" | "leases" | "limit">,
  ): Promise<SyncStep> {
    const { own, tenants, personas, openings } = this.#parts;
    const profile = await personas.profile(tenant.id, tenant.sender);
    const self = { user: tenant.sender, profile, opening: openings.name };
    const isPersona = (user: UserId): boolean => tenants.isPersona(tenant, user);
    return { ...known, tenant, self, own, isPersona, filter, isFull: isFull && since !== null };
  }
}

async function heldBy(hold: Hold, answer: Answer): Promise<Answer> {
  const { join, leave, invite } = answer.plan;
  const events = [...[...join, ...leave].flatMap(({ timeline, changed }) => [...timeline, ...changed]), ...invite];
  const bytes = events.reduce((sum, event) => sum + written(event).length, 0);
  await hold.add(bytes + (join.some(({ isWhole }) => isWhole) ? STATE_BYTES : 0));
  return answer;
}
