import { onTestFinished } from "vitest";
import type { RoomStates } from "../../../../src/ledger/loading/homeserver-states.ts";
import type { Feed } from "../../../../src/tenants/feed/feed.ts";
import type { LeaseChange } from "../../../../src/tenants/store/lease-changes.ts";
import type { OpenInvite } from "../../../../src/tenants/store/sync-facts.ts";
import { syncFilter } from "../../../../src/tenants/sync/filter.ts";
import { TenantSync, type SyncParts } from "../../../../src/tenants/sync/sync.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { RoomEvent, StateEvent } from "../../../../src/model/event.ts";
import type { EventId, RoomId, UserId } from "../../../../src/model/ids.ts";
import { Openings } from "../../../../src/ledger/openings.ts";
import type { JsonObject } from "../../../../src/model/json.ts";
import type { PersonaInRoom } from "../../../../src/model/persona.ts";
import { Signal } from "../../../../src/concurrency/signal.ts";
import type { Tenant } from "../../../../src/model/tenant.ts";
import { ManualClock, START } from "../../../support/clock.ts";
import { ALICE, OWN } from "../../../support/events.ts";
import { readPieces } from "../../../support/sync-answer.ts";
import { tenant, viewer } from "../../../support/tenants.ts";

export const BOT = tenant("bot");
export const GHOST = "@ghost:ours.example" as UserId;
const NEVER = new AbortController().signal;
const HOLD = { add: async () => {}, free: () => {} };

/** A journal whose every event concerns the tenant, and leases that change as the test says. */
export function scene() {
  const journal: RoomEvent[] = [];
  const leases: LeaseChange[] = [];
  const states = new Map<RoomId, readonly StateEvent[]>();
  const news = new Signal();
  const clock = new ManualClock();
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  const feed: Feed = {
    read: async (_tenant, after, limits, until = null) => {
      const all = journal.map((event, index) => ({ seq: index + 1, event })).slice(0, until ?? journal.length);
      const events = all.slice(after, after + limits.events);
      const upTo = events.at(-1)?.seq ?? after;
      return { events, upTo, isMore: upTo < all.length };
    },
  };
  const changes: SyncParts["changes"] = {
    since: async (_tenant, after) =>
      [...new Map(leases.map((lease) => [lease.roomId, lease])).values()].filter(({ change, ended }) =>
        after === null ? ended === null : change > after,
      ),
    newest: async () => leases.length,
  };
  const roomStates: RoomStates = {
    stream: async function* (roomId) {
      const known = states.get(roomId);
      if (known === undefined) throw new EmissaryError("homeserver-unreachable", "The homeserver gave no answer.");
      yield known;
    },
  };
  const bounds = async () => ({ first: journal.length === 0 ? 0 : 1, last: journal.length });
  const tenants = {
    viewerOf: (of: Tenant) => viewer(of),
    isPersona: (_tenant: Tenant, user: UserId) => user === BOT.sender || user === GHOST,
    all: () => [BOT],
  };
  const personas: PersonaInRoom[] = [];
  const open: OpenInvite[] = [];
  const sent = new Map<EventId, string>();
  const facts: SyncParts["facts"] = {
    openInvites: async () => open,
    headsIn: async () => ({ joined: 2, invited: 0, heroes: [ALICE], isNamed: false }),
  };
  const memberships = new Map<UserId, RoomEvent>();
  const parts = {
    own: OWN,
    tenants,
    personas: { inRoom: async () => personas, profile: async () => ({ displayname: "Bot", avatarUrl: null }) },
    facts,
    lazyMembers: {
      of: async (_room: RoomId, senders: readonly UserId[]) => senders.flatMap((user) => memberships.get(user) ?? []),
    },
    sent: { txnIdsOf: async () => sent },
    feed,
    journal: { bounds },
    changes,
    states: roomStates,
    news: [news],
    clock,
  };
  const openings = new Openings({ name: "now", earlier: [{ name: "before", end: { seq: 1, change: 1 } }] });
  const missed: string[] = [];
  const sync = new TenantSync({
    ...parts,
    openings,
    missed: (_tenant, why) => missed.push(why),
    stopping: stopping.signal,
  });
  return {
    sync: async (
      since: string | null,
      wait = 0,
      { filter = {}, isFull = false }: { readonly filter?: JsonObject; readonly isFull?: boolean } = {},
    ): Promise<JsonObject> =>
      readPieces(await sync.sync(BOT, { since, wait, isFull, filter: syncFilter(filter) }, NEVER, HOLD)),
    clock,
    personas,
    open,
    sent,
    memberships,
    missed,
    happens: (event: RoomEvent) => {
      journal.push(event);
      news.notify();
    },
    enters: (roomId: RoomId, roomState: readonly StateEvent[] = []) => {
      states.set(roomId, roomState);
      leases.push({ change: leases.length + 1, roomId, at: START, ended: null });
      news.notify();
    },
    ends: (roomId: RoomId, ended: LeaseChange["ended"]) => {
      leases.push({ change: leases.length + 1, roomId, at: START, ended });
      news.notify();
    },
    forgets: (roomId: RoomId) => states.delete(roomId),
    stop: () => stopping.abort(),
  };
}

export function roomsOf(answer: JsonObject, kind: "join" | "leave" | "invite"): Record<string, JsonObject> {
  return (answer["rooms"] as JsonObject)[kind] as Record<string, JsonObject>;
}

export function timeline(room: JsonObject | undefined): RoomEvent[] {
  return ((room?.["timeline"] as JsonObject | undefined)?.["events"] ?? []) as unknown as RoomEvent[];
}

export function stateOf(room: JsonObject | undefined): RoomEvent[] {
  return ((room?.["state"] as JsonObject | undefined)?.["events"] ?? []) as unknown as RoomEvent[];
}

export const next = (answer: JsonObject): string => answer["next_batch"] as string;
