import type { EventsPage, PeekedRooms } from "../../../src/peek/homeserver/peeked-rooms.ts";
import { peekFilter } from "../../../src/peek/msc2753/filter.ts";
import { RoomNews } from "../../../src/peek/msc2753/news.ts";
import { positionOf, tokenOf, type Places } from "../../../src/peek/msc2753/token.ts";
import { PeekView, type ViewParts } from "../../../src/peek/msc2753/view.ts";
import type { JournalEntry } from "../../../src/ledger/journal.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { EventId, RoomId, UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { below, Graph, type Node } from "./sync-graph.ts";
import { Signal } from "../../../src/concurrency/signal.ts";
import { ManualClock } from "../../support/clock.ts";

export const LIMIT = 3;
const DEVICE = "alice.phone";

interface Peek {
  change: number;
  present: boolean;
}

/** A homeserver with rooms, which shows events late to clients, and to us; one device's peeks, and what its user has joined. */
export class World {
  readonly events: { readonly order: number; readonly event: RoomEvent }[] = [];
  readonly peeks = new Map<RoomId, Peek>();
  readonly hidden = new Set<RoomId>();
  /** Rooms that the user joined, in that order: the homeserver's own token says how many of them were told. */
  readonly joins: RoomId[] = [];
  /** Rooms that the pseudouser came back into since the device was last told of them. */
  readonly back = new Set<RoomId>();
  readonly graph = new Graph();
  failures = 0;
  /** Whether the room's other servers let the homeserver wait for too long. */
  isSilent = false;
  /** How often a room was told from its end. */
  beginnings = 0;
  news: RoomNews;
  readonly woken = new Signal();
  readonly clock = new ManualClock();
  readonly #journal: JournalEntry[] = [];
  #change = 0;
  /** So many events are shown to clients. */
  #shown = 0;

  constructor() {
    this.news = this.#freshNews();
  }

  say(room: RoomId, manner?: "cut" | "fork" | "ignored"): void {
    const order = this.events.length + 1;
    const event_id = `$${order}` as EventId;
    this.graph.live(room, event_id, order, manner);
    const event = {
      event_id,
      room_id: room,
      type: "m.test",
      sender: "@b:c" as UserId,
      origin_server_ts: order,
      content: {},
    };
    this.events.push({ order, event });
  }

  miss(room: RoomId): void {
    this.graph.miss(room, `$missed${this.graph.nodes.size}`);
  }

  show(): void {
    this.#shown = this.events.length;
  }

  deliver(): void {
    for (const { order, event } of this.events.slice(this.#journal.length)) {
      this.#journal.push({ seq: order, receivedAt: 0, event });
    }
    this.woken.notify();
  }

  peek(room: RoomId): void {
    if (this.peeks.has(room) || this.joins.includes(room) || this.hidden.has(room)) return;
    // A room begins with an event.
    if (this.of(room).length === 0) this.say(room);
    this.show();
    this.peeks.set(room, { change: ++this.#change, present: true });
    this.woken.notify();
  }

  end(room: RoomId): boolean {
    if (this.peeks.has(room)) this.#change += 1;
    const ended = this.peeks.delete(room);
    this.back.delete(room);
    this.woken.notify();
    return ended;
  }

  /** The pseudouser was out of the room for a while: what came there meanwhile nobody knows. */
  comeBack(room: RoomId): void {
    const peek = this.peeks.get(room);
    if (peek === undefined) return;
    peek.change = ++this.#change;
    this.back.add(room);
  }

  restart(): void {
    this.news = this.#freshNews();
  }

  of(room: RoomId): number[] {
    return this.events.filter(({ event }) => event.room_id === room).map(({ order }) => order);
  }

  /** What of a room the user is shown. */
  shownTo(room: RoomId): string[] {
    const nodes = this.of(room).map((order) => this.nodeOf(order));
    return nodes.filter(({ isIgnored }) => !isIgnored).map(({ eventId }) => eventId);
  }

  parts(): ViewParts {
    return {
      store: {
        peeksOf: async () => [...this.peeks].map(([roomId, peek]) => ({ roomId, ...peek })),
        newest: async () => this.#change,
      },
      rooms: this.#rooms(),
      links: {
        before: async (roomId, span) => {
          if (this.isSilent && span.to === undefined) throw new EmissaryError("homeserver-unreachable", "too late");
          return this.graph.page(roomId, span, this.#shown);
        },
        has: async (_roomId, eventId) => (this.graph.nodes.get(eventId)?.order ?? Infinity) <= this.#shown,
      },
      refused: () => undefined,
      refusalOf: () => null,
      news: this.news,
      desk: { release: async (roomId) => this.end(roomId) },
      signals: [this.woken],
      clock: this.clock,
    };
  }

  #rooms(): Pick<PeekedRooms, "beginning" | "events"> {
    const ready = (room: RoomId): "gone" | null => {
      if (this.failures > 0) {
        this.failures -= 1;
        throw new EmissaryError("homeserver-error", "not now");
      }
      return this.hidden.has(room) ? "gone" : null;
    };
    return {
      beginning: async (_token, room, limit) => {
        const refusal = ready(room);
        if (refusal !== null) return refusal;
        this.beginnings += 1;
        const end = `s${this.#shown}`;
        const list = this.graph.before(room, end, this.#shown).slice(0, limit);
        const oldest = list.at(-1);
        const membership = this.joins.includes(room) ? "join" : null;
        const events = list.filter(({ isIgnored }) => !isIgnored).map((node) => jsonOf(node));
        const start = oldest === undefined ? end : below(oldest);
        return { membership, state: [], events: events.reverse(), start, end, accountData: [], rest: null };
      },
      events: async (_token, room, { from, limit }): Promise<EventsPage | "gone"> => {
        const refusal = ready(room);
        if (refusal !== null) return refusal;
        const newer = this.#shownOf(room).filter((order) => order > Number(from.slice(1)));
        const orders = newer.slice(0, limit);
        const end = orders.length < newer.length ? (orders.at(-1) ?? 0) : this.#shown;
        const nodes = orders.map((order) => this.nodeOf(order)).filter(({ isIgnored }) => !isIgnored);
        return { chunk: nodes.map((node) => jsonOf(node)), start: from, end: `s${end}` };
      },
    };
  }

  #shownOf(room: RoomId): number[] {
    return this.of(room).filter((order) => order <= this.#shown);
  }

  nodeOf(order: number): Node {
    return this.graph.nodes.get(`$${order}`) as Node;
  }

  /** What the homeserver lists before a position, for the user. */
  pagesBefore(room: RoomId, position: string): readonly string[] {
    const list = this.graph.before(room, position, this.#shown);
    return list.filter(({ isIgnored }) => !isIgnored).map(({ eventId }) => eventId);
  }

  #freshNews(): RoomNews {
    return new RoomNews({
      bounds: async () => ({ first: Math.min(1, this.#journal.length), last: this.#journal.length }),
      read: async (after, limit) => this.#journal.slice(after, after + limit),
    });
  }
}

function jsonOf({ eventId, roomId, prev, depth }: Node): JsonObject {
  return {
    event_id: eventId,
    room_id: roomId,
    type: "m.test",
    sender: "@b:c",
    content: {},
    prev_events: [...prev],
    depth,
  };
}

interface Timeline {
  readonly events: readonly { readonly event_id: string }[];
  readonly limited: boolean;
  readonly prev_batch: string;
}

/** A device that syncs, and what it has of the rooms that it peeks into. */
export class Device {
  readonly rooms = new Map<RoomId, number[]>();
  readonly faults: string[] = [];
  since: string | null = null;
  /** What it was told, or gets to from there. */
  readonly reachable = new Map<RoomId, ReadonlySet<string>>();
  /** What it knows of, or knows to be before what it was told. */
  readonly #known = new Map<RoomId, ReadonlySet<string>>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** @param isLost whether the answer goes astray: the device then asks again from where it was */
  async sync(isLost = false): Promise<void> {
    const { since, places } =
      this.since === null ? { since: "0", places: new Map() as Places } : positionOf(this.since);
    const filter = peekFilter({ room: { timeline: { limit: LIMIT } } });
    const gone = new AbortController().signal;
    const view = new PeekView(this.#world.parts(), { device: DEVICE, token: "t", filter, anew: false, gone }, places);
    await view.look();
    const joined = new Set(this.#world.joins.slice(Number(since)));
    const next = String(this.#world.joins.length);
    await view.join(joined);
    if (isLost) return;
    for (const roomId of view.left) {
      if (joined.has(roomId)) continue;
      if (!this.rooms.delete(roomId) && !this.#world.hidden.has(roomId))
        this.faults.push(`${roomId} was told to be gone, and was not there`);
    }
    for (const roomId of joined) this.rooms.delete(roomId);
    for (const [roomId, told] of view.peek) this.#take(roomId, told["timeline"] as unknown as Timeline);
    this.since = tokenOf({ since: next, opening: "now", places: view.places });
  }

  #take(roomId: RoomId, { events, limited, prev_batch }: Timeline): void {
    const told = events.map((event) => event.event_id);
    const orders = told.map((id) => this.#world.graph.nodes.get(id)?.order ?? NaN);
    const fault = (what: string): number => this.faults.push(`${roomId}: ${JSON.stringify(told)} was told, ${what}`);
    const newest = Math.max(0, ...orders);
    const reached = this.reachable.get(roomId) ?? new Set<string>();
    this.reachable.set(
      roomId,
      new Set([...told, ...(limited ? this.#world.pagesBefore(roomId, prev_batch) : reached)]),
    );
    if (limited) {
      const pages = new Set(this.#world.pagesBefore(roomId, prev_batch));
      const missing = this.#visible(roomId, 0, newest).filter((id) => !told.includes(id) && !pages.has(id));
      if (missing.length > 0) fault(`and from ${prev_batch} nobody gets to ${JSON.stringify(missing)}`);
      // Where the homeserver is not answered in time the end of all that is told stands for its beginning.
      if (!this.#world.isSilent && told.slice(1).some((id) => pages.has(id)))
        fault(`and ${prev_batch} leads to the same again`);
    } else {
      const known = [...reached].map((id) => this.#world.graph.nodes.get(id)?.order ?? 0);
      const all = this.#visible(roomId, Math.max(0, ...known), newest);
      const live = told.filter((id) => (this.#world.graph.nodes.get(id)?.order ?? 0) > 0);
      if (JSON.stringify(all) !== JSON.stringify(live)) fault(`and ${JSON.stringify(all)} came`);
      if (this.#world.back.has(roomId)) fault("without a gap");
    }
    this.#world.back.delete(roomId);
    // What the homeserver has not got must not lie between what is told.
    const before = limited
      ? this.#world.graph.ancestors([...told.slice(0, 1), ...this.#world.pagesBefore(roomId, prev_batch)])
      : (this.#known.get(roomId) ?? new Set<string>());
    const lacking = [...this.#world.graph.ancestors(told)].filter(
      (id) => !before.has(id) && this.#world.graph.nodes.get(id)?.order === null,
    );
    if (lacking.length > 0) fault(`limited ${limited}, over ${JSON.stringify(lacking)}`);
    const there = this.#world.graph.of(roomId).filter(({ order }) => order !== null);
    const known = this.#world.graph.ancestors(limited ? there.map(({ eventId }) => eventId) : told);
    this.#known.set(roomId, new Set([...(this.#known.get(roomId) ?? []), ...known]));
    this.rooms.set(roomId, [...(limited ? [] : (this.rooms.get(roomId) ?? [])), ...orders]);
  }

  /** What came live and is shown to the user, by its order. */
  #visible(roomId: RoomId, after: number, upTo: number): string[] {
    const nodes = this.#world.graph
      .of(roomId)
      .filter(({ order, isIgnored }) => !isIgnored && (order ?? 0) > after && (order ?? 0) <= upTo);
    return nodes.map(({ eventId }) => eventId);
  }
}
