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
import type { Coverage, EventOwners, Span } from "./contracts.ts";
import { Makers, type Making } from "./makers.ts";

export interface FeedLimits {
  readonly events: number;
  /** Of the events' JSON, roughly; one event always fits. */
  readonly bytes: number;
}

/** A piece of what concerns a tenant. */
export interface FeedPiece {
  /** In the order of the journal, as the tenant sees them: its own events have its users as senders. */
  readonly events: readonly { readonly seq: number; readonly event: RoomEvent }[];
  /** The journal was looked through up to here: the next piece begins after this. */
  readonly upTo: number;
  /**
   * True where the limits ended the piece, so that more may follow at once. It may be empty then: what does not concern the tenant
   * is passed over some thousands of events at a time, so that its place in the journal can be noted on the way.
   */
  readonly isMore: boolean;
}

/** What of the journal concerns a tenant: events of its leased rooms, and invites to it or its users. */
export interface Feed {
  /**
   * The next events after a number of the journal. The same numbers give the same events, also after a restart; only whom an
   * invite without a name is for changes with the operator's grants.
   * @param until the journal is not looked at beyond this number; null for its end
   */
  read(tenant: Tenant, after: number, limits: FeedLimits, until?: number | null): Promise<FeedPiece>;
}

export interface FeedParts {
  readonly journal: Pick<SharedJournal, "read" | "bounds">;
  readonly coverage: Coverage;
  /** Fired when there may be more to read than the journal has grown by. */
  readonly news: Signal;
  readonly owners: EventOwners;
  readonly tenants: Pick<Tenants, "all" | "isPersona" | "isTenants" | "viewerOf">;
  readonly own: UserId;
}

/** Entries read at once. */
const BATCH = 100;
/** Entries that one piece looks at, and after how many it lets others have their turn. */
const MAX_LOOKED_AT = 5_000;
const MAX_AT_ONCE = 200;

/** The feed of all tenants. */
export class JournalFeed implements Feed {
  readonly #parts: FeedParts;
  readonly #makers: Makers;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#makers = new Makers(parts.own, parts.news);
  }

  async read(tenant: Tenant, after: number, limits: FeedLimits, until: number | null = null): Promise<FeedPiece> {
    const end = until ?? Number.MAX_SAFE_INTEGER;
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
        if (seen === null && until === null && this.#makers.isToWait(tenant.id, seq, event)) {
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
      // What lies before the end and is not there was removed by age; it does not come again.
      if (entries.length < found.length) return { events, upTo: end, isMore: false };
      if (entries.length === 0) break;
      lookedAt += entries.length;
      if (lookedAt >= MAX_LOOKED_AT && upTo < end) return { events, upTo, isMore: true };
      // SQLite answers within the call: without this, a long way to look through would keep everybody else waiting.
      if (lookedAt >= MAX_AT_ONCE) await new Promise((resolve) => setImmediate(resolve));
    }
    return { events, upTo, isMore: false };
  }

  /**
   * The homeserver is about to be asked for a room for the tenant. Its first events come before anybody knows that they are the
   * tenant's, and nobody is to be past them when that is known: until `done`, the tenant's feed stops before a room that we made.
   */
  async making(tenant: TenantId): Promise<Making> {
    return this.#makers.begin(tenant, (await this.#parts.journal.bounds()).last);
  }

  async #spansOf(tenant: Tenant, entries: readonly JournalEntry[]): Promise<ReadonlyMap<RoomId, readonly Span[]>> {
    const [first] = entries;
    if (first === undefined) return new Map();
    const rooms = new Set(entries.map(({ event }) => event.room_id));
    return this.#parts.coverage.spansOf(tenant.id, [...rooms], first.seq - 1);
  }

  /** The tenant, knowing which of its own events are answered. */
  async #viewerOf(tenant: Tenant, entries: readonly JournalEntry[]): Promise<Viewer> {
    const viewer = this.#parts.tenants.viewerOf(tenant);
    const answered = entries.flatMap(({ event }) => answeredIn(event.content) ?? []);
    if (answered.length === 0) return viewer;
    return { ...viewer, answered: ownAmong(await this.#parts.owners.ownersOf(answered), viewer) };
  }

  /** The event as the tenant sees it; null where it does not concern the tenant. */
  #asSeen(
    viewer: Viewer,
    tenant: Tenant,
    seq: number,
    event: RoomEvent,
    spans: readonly Span[] | undefined,
  ): RoomEvent | null {
    const { own, tenants } = this.#parts;
    const invited = invitedBy(event);
    // A user of a tenant's that invites the pseudouser lets it in, and invites nobody (attendance/stand-ins.ts).
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

/** Whom an event invites, or null where it is no invite. */
function invitedBy(event: RoomEvent): UserId | null {
  if (event.type !== "m.room.member" || !isStateEvent(event)) return null;
  return event.content["membership"] === "invite" && isUserId(event.state_key) ? event.state_key : null;
}
