import { EmissaryError } from "../../../model/errors.ts";
import type { RoomEvent } from "../../../model/event.ts";
import type { RoomId, TenantId } from "../../../model/ids.ts";
import { undress } from "../../../model/persona.ts";
import type { Signal } from "../../../model/signal.ts";
import type { Tenant } from "../../../model/tenant.ts";
import type { Hold } from "../../../model/bytes-held.ts";
import { withLimit, type Clock } from "../../../model/clock.ts";
import { Shares } from "../../../model/shares.ts";
import type { RoomStates } from "../../../attendance/contracts.ts";
import type { Feed } from "../../../feed/feed.ts";
import type { Journal } from "../../../ledger/journal.ts";
import type { Openings, Position } from "../../../ledger/openings.ts";
import type { Tenants } from "../../../policy/tenants.ts";
import { syncAnswer } from "./answer.ts";
import type { LeaseChange, LeaseChanges } from "./contracts.ts";
import { positionOf, tokenOf } from "./token.ts";
import { written, type JsonObject } from "../../../model/json.ts";

export interface SyncParts {
  readonly tenants: Pick<Tenants, "viewerOf">;
  readonly feed: Feed;
  readonly journal: Pick<Journal, "bounds">;
  readonly changes: LeaseChanges;
  readonly openings: Openings;
  readonly states: RoomStates;
  /** Told of a tenant that begins anew although it had a token, since something after that is no longer to be had. */
  readonly missed: (tenant: TenantId, why: Missed) => void;
  /** What can bring news: events, and leases. */
  readonly news: readonly Signal[];
  readonly clock: Clock;
  /** Aborts when Emissary stops. */
  readonly stopping: AbortSignal;
}

/** Why what lies after a token cannot be told: a copy of the database was restored, or the journal no longer goes back so far. */
export type Missed = "restored" | "too-old";

const LIMITS = { events: 500, bytes: 4 * 1024 * 1024 } as const;
/** State told of a room that is new to the tenant, and of all such rooms in one answer; more than that it can ask for. */
const MAX_STATE = { events: 2_000, bytes: 4 * 1024 * 1024, inAll: 8 * 1024 * 1024 } as const;
/** Rooms whose state is fetched at once. */
const STATES_AT_ONCE = 4;
/** The longest that a sync waits for news, milliseconds; and how many of one tenant wait at once. */
const MAX_WAIT_MS = 60_000;
const MAX_WAITING = 8;
/** Answers that are put together at once. Whoever begins, or does not wait for news, is answered in turn. */
const MAKING = { common: 4, each: 2, own: 1, waitingEach: 100, waiting: 1_000, wait: 30_000 } as const;

/** Long-polling for tenants that have no HTTP server: what the journal and the leases bring, in answers to `/sync`. */
export class TenantSync {
  readonly #parts: SyncParts;
  readonly #waiting = new Map<TenantId, number>();
  readonly #making: Shares;

  constructor(parts: SyncParts) {
    this.#parts = parts;
    this.#making = new Shares("syncs", MAKING, parts.clock);
  }

  /**
   * @param since a token of an earlier answer, or null for the beginning: then only where the tenant is now is told
   * @param wait how long to wait for news where there are none, milliseconds
   * @param hold what the answer takes in memory
   * @returns the answer as JSON
   * @throws EmissaryError `bad-parameter`, `limited`, or why the homeserver does not tell a room's state
   */
  async sync(tenant: Tenant, since: string | null, wait: number, gone: AbortSignal, hold: Hold): Promise<Buffer> {
    const held = async (answer: Promise<JsonObject>): Promise<Buffer> => {
      const bytes = Buffer.from(written(await answer));
      await hold.add(bytes.length);
      return bytes;
    };
    const beginning = (): Promise<Buffer> =>
      this.#making.with(tenant.id, gone, () => held(this.#beginning(tenant, gone)));
    const position = since === null ? null : positionOf(since);
    if (position === null) return beginning();
    const from = await this.#known(position);
    if (typeof from === "string") {
      const answer = await beginning();
      this.#parts.missed(tenant.id, from);
      return answer;
    }
    if (wait === 0) {
      const now = AbortSignal.abort();
      return this.#making.with(tenant.id, gone, () => held(this.#untilNews(tenant, from, now, gone)));
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
      return await withLimit(this.#parts.clock, Math.min(wait, MAX_WAIT_MS), parent, (limit) =>
        held(this.#untilNews(tenant, from, AbortSignal.any([limit, parent]), gone)),
      );
    } finally {
      const left = (this.#waiting.get(tenant.id) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(tenant.id);
      else this.#waiting.set(tenant.id, left);
    }
  }

  /** Where to go on; or why that cannot be done, and the tenant begins anew. */
  async #known(position: Position): Promise<Position | Missed> {
    const { openings, journal, changes } = this.#parts;
    const { first, last } = await journal.bounds();
    if (!openings.has(position, { seq: last, change: await changes.newest() })) return "restored";
    if (position.seq < first - 1) return "too-old";
    return { ...position, opening: openings.name };
  }

  async #beginning(tenant: Tenant, gone: AbortSignal): Promise<JsonObject> {
    // Read before the rooms are: what happens meanwhile is told by the next sync, at worst twice.
    const { last } = await this.#parts.journal.bounds();
    const change = await this.#parts.changes.newest();
    const changes = await this.#parts.changes.since(tenant.id, null);
    const states = await this.#statesOf(tenant, changes, gone);
    const { name: opening } = this.#parts.openings;
    const next = tokenOf({ opening, seq: last, change });
    return syncAnswer({ user: tenant.sender, opening, next, events: [], changes, states });
  }

  async #untilNews(tenant: Tenant, from: Position, until: AbortSignal, gone: AbortSignal): Promise<JsonObject> {
    let { seq } = from;
    for (;;) {
      const woken = new AbortController();
      const news = this.#parts.news.map((signal) => signal.next(AbortSignal.any([until, woken.signal])));
      try {
        const change = await this.#parts.changes.newest();
        const changes = change === from.change ? [] : await this.#parts.changes.since(tenant.id, from.change);
        const piece = await this.#parts.feed.read(tenant, seq, LIMITS);
        seq = piece.upTo;
        if (piece.events.length > 0 || changes.length > 0 || until.aborted) {
          const { opening } = from;
          const next = tokenOf({ opening, seq, change });
          const states = await this.#statesOf(tenant, changes, gone);
          const events = piece.events.map(({ event }) => event);
          return syncAnswer({ user: tenant.sender, opening, next, events, changes, states });
        }
        if (!piece.isMore) await Promise.race(news);
      } finally {
        woken.abort();
      }
    }
  }

  async #statesOf(
    tenant: Tenant,
    changes: readonly LeaseChange[],
    gone: AbortSignal,
  ): Promise<ReadonlyMap<RoomId, readonly RoomEvent[]>> {
    const states = new Map<RoomId, readonly RoomEvent[]>();
    const told = { bytes: 0 };
    const rooms = changes.filter(({ ended }) => ended === null).map(({ roomId }) => roomId);
    const next = async (): Promise<void> => {
      for (let roomId = rooms.shift(); roomId !== undefined; roomId = rooms.shift()) {
        states.set(roomId, await this.#stateOf(tenant, roomId, told, gone));
      }
    };
    await Promise.all(Array.from({ length: STATES_AT_ONCE }, next));
    return states;
  }

  /** Without memberships, as with lazy loading: a room may have a hundred thousand, and who needs them asks for them. */
  async #stateOf(
    tenant: Tenant,
    roomId: RoomId,
    told: { bytes: number },
    gone: AbortSignal,
  ): Promise<readonly RoomEvent[]> {
    const events: RoomEvent[] = [];
    let bytes = 0;
    if (told.bytes >= MAX_STATE.inAll) return events;
    try {
      for await (const part of this.#parts.states.stream(roomId, gone)) {
        for (const event of part) {
          if (event.type === "m.room.member") continue;
          const size = JSON.stringify(event).length;
          bytes += size;
          told.bytes += size;
          const isMuch = bytes > MAX_STATE.bytes || told.bytes > MAX_STATE.inAll;
          if (events.length >= MAX_STATE.events || isMuch) return events;
          events.push(undress(event, this.#parts.tenants.viewerOf(tenant)));
        }
      }
    } catch (error) {
      // The pseudouser may have been put out since: the next sync tells. Whoever cannot reach the homeserver is told that.
      if (error instanceof EmissaryError && error.code !== "homeserver-unreachable") return events;
      throw error;
    }
    return events;
  }
}
