import { setImmediate } from "node:timers/promises";
import type { JournalEntry } from "../../ledger/journal.ts";
import type { SharedJournal } from "../../ledger/shared-journal.ts";
import type { Signal } from "../../concurrency/signal.ts";
import { isStateEvent, type RoomEvent } from "../../model/event.ts";
import { isUserId, type RoomId, type TenantId, type UserId } from "../../model/ids.ts";
import { revisionOf } from "../../model/json-text.ts";
import { shallow, stringAt, written } from "../../model/json.ts";
import { isAttendance, ownAmong, fromWire, type Viewer } from "../../model/persona.ts";
import { answeredIn } from "../../model/references.ts";
import type { Tenant } from "../../model/tenant.ts";
import { addresseeOf } from "../../policy/invites.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { CoverageStore, Span } from "../store/coverage.ts";
import type { SqliteSentStore } from "../store/sent.ts";

export interface FeedLimits {
  readonly events: number;
  /** Approximate bytes of the events' JSON; one event always fits. */
  readonly bytes: number;
}

export interface FeedPiece {
  /** In the journal's order, as the tenant sees them: its own events have its users as senders. */
  readonly events: readonly { readonly seq: number; readonly event: RoomEvent }[];
  /** The journal was read up to here. The next piece begins after this number. */
  readonly upTo: number;
  /** True if more may follow at once. An empty piece lets the tenant's cursor be saved during a long search. */
  readonly isMore: boolean;
}

export type Feed = Pick<JournalFeed, "read">;
export type EventOwners = Pick<SqliteSentStore, "ownersOf">;

export interface FeedParts {
  readonly journal: Pick<SharedJournal, "read" | "bounds">;
  readonly coverage: Pick<CoverageStore, "spansOf">;
  /** Fired when there may be more to read although the journal has not grown. */
  readonly news: Signal;
  readonly owners: EventOwners;
  readonly tenants: Pick<Tenants, "all" | "isPersona" | "isTenants" | "viewerOf">;
  readonly own: UserId;
}

interface Making {
  /** The journal's newest number before the homeserver was asked. All events of the room come after it. */
  readonly from: number;
  /** Called when the tenant has its lease, or will not get one. */
  done(): void;
}

const BATCH = 100;
/** Entries that one piece reads at most, and after how many it yields to other work. */
const MAX_LOOKED_AT = 5_000;
const MAX_AT_ONCE = 200;

/** The part of the journal that concerns a tenant: events of its leased rooms, and invites to it or its users. */
export class JournalFeed {
  readonly #parts: FeedParts;
  /** Tenants with rooms being made. Kept in memory only: after a crash the room has no owner. */
  readonly #making = new Map<Making, TenantId>();

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /**
   * Returns the next events after a number of the journal, up to `until` or its end. The same numbers give the same
   * events, but for invites without a name: grants decide who these are for.
   */
  async read(tenant: Tenant, after: number, limits: FeedLimits, until?: number | null): Promise<FeedPiece> {
    const end = until ?? Infinity;
    const events: { seq: number; event: RoomEvent }[] = [];
    let bytes = 0;
    let upTo = after;
    for (let lookedAt = 0; upTo < end;) {
      const found = await this.#parts.journal.read(upTo, BATCH);
      const entries = found.filter(({ seq }) => seq <= end);
      const spans = await this.#spansOf(tenant, entries);
      const viewer = await this.#viewerOf(tenant, entries);
      for (const { seq, event } of entries) {
        const seen = this.#asSeen(viewer, tenant, seq, event, spans.get(event.room_id));
        if (seen === null && end === Infinity && this.#isToWait(tenant.id, seq, event)) {
          return { events, upTo, isMore: false };
        }
        if (seen !== null) {
          if (events.length >= limits.events) return { events, upTo, isMore: true };
          bytes += written(seen).length;
          if (bytes > limits.bytes && events.length > 0) return { events, upTo, isMore: true };
          events.push({ seq, event: shallow(seen) });
        }
        upTo = seq;
      }
      // The missing entries before the end were removed by age and do not come back.
      if (entries.length < found.length) return { events, upTo: end, isMore: false };
      if (entries.length === 0) break;
      lookedAt += entries.length;
      if (lookedAt >= MAX_LOOKED_AT && upTo < end) return { events, upTo, isMore: true };
      // SQLite answers synchronously: without this, a long search would block all other work.
      if (lookedAt >= MAX_AT_ONCE) await setImmediate();
    }
    return { events, upTo, isMore: false };
  }

  /**
   * Called before the homeserver is asked for a tenant's room. Its first events arrive before anyone knows its owner,
   * and the feed must not pass them: until `done`, it stops before any room that the pseudouser made.
   */
  async making(tenant: TenantId): Promise<Making> {
    const from = (await this.#parts.journal.bounds()).last;
    const done = (): void => {
      if (this.#making.delete(making)) this.#parts.news.notify();
    };
    const making: Making = { from, done };
    this.#making.set(making, tenant);
    return making;
  }

  /** Whether an event that is not known to be the tenant's may be the first of a room that is being made for it. */
  #isToWait(tenant: TenantId, seq: number, { type, sender }: RoomEvent): boolean {
    if (type !== "m.room.create" || sender !== this.#parts.own) return false;
    return [...this.#making].some(([{ from }, maker]) => maker === tenant && seq > from);
  }

  async #spansOf(tenant: Tenant, entries: readonly JournalEntry[]): Promise<ReadonlyMap<RoomId, readonly Span[]>> {
    const [first] = entries;
    if (first === undefined) return new Map();
    const rooms = new Set(entries.map(({ event }) => event.room_id));
    return this.#parts.coverage.spansOf(tenant.id, [...rooms], first.seq - 1);
  }

  /** Returns the tenant's view, including which of its own events are answered. */
  async #viewerOf(tenant: Tenant, entries: readonly JournalEntry[]): Promise<Viewer> {
    const viewer = this.#parts.tenants.viewerOf(tenant);
    const answered = entries.flatMap(({ event }) => answeredIn(event.content) ?? []);
    if (answered.length === 0) return viewer;
    return { ...viewer, answered: ownAmong(await this.#parts.owners.ownersOf(answered), viewer) };
  }

  #asSeen(
    viewer: Viewer,
    tenant: Tenant,
    seq: number,
    event: RoomEvent,
    spans: readonly Span[] | undefined,
  ): RoomEvent | null {
    const { own, tenants } = this.#parts;
    const invited = invitedBy(event);
    // A tenant's user that invites the pseudouser only lets it in; no tenant is invited (attendance/stand-ins.ts).
    if (invited === own && !tenants.isTenants(event.sender) && this.#isAddressed(tenant, event)) {
      return revisionOf(event, { ...fromWire(event, viewer), state_key: tenant.sender });
    }
    const isCovered = spans?.some((span) => span.after < seq && seq <= (span.upTo ?? seq)) ?? false;
    const concerns = isCovered || (invited !== null && tenants.isPersona(tenant, invited));
    if (!concerns) return null;
    return isAttendance(event, viewer) ? null : fromWire(event, viewer);
  }

  #isAddressed(tenant: Tenant, { room_id, content }: RoomEvent): boolean {
    return addresseeOf(stringAt(content, "reason"), room_id, this.#parts.tenants.all())?.id === tenant.id;
  }
}

function invitedBy(event: RoomEvent): UserId | null {
  if (event.type !== "m.room.member" || !isStateEvent(event)) return null;
  return event.content["membership"] === "invite" && isUserId(event.state_key) ? event.state_key : null;
}
