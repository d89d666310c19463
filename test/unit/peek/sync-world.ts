import type { EventsPage, PeekedRooms } from "../../../src/gateways/peek/msc2753/contracts.ts";
import { peekFilter } from "../../../src/gateways/peek/msc2753/filter.ts";
import { RoomNews } from "../../../src/gateways/peek/msc2753/news.ts";
import { positionOf, tokenOf, type Places } from "../../../src/gateways/peek/msc2753/token.ts";
import { PeekView, type ViewParts } from "../../../src/gateways/peek/msc2753/view.ts";
import type { JournalEntry } from "../../../src/ledger/journal.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { EventId, RoomId, UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { Signal } from "../../../src/model/signal.ts";
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
  failures = 0;
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

  say(room: RoomId): void {
    const order = this.events.length + 1;
    const event_id = `$${order}` as EventId;
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

  parts(): ViewParts {
    return {
      store: {
        peeksOf: async () => [...this.peeks].map(([roomId, peek]) => ({ roomId, ...peek })),
        newest: async () => this.#change,
      },
      rooms: this.#rooms(),
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
        const orders = this.#shownOf(room).slice(-limit);
        const start = `s${(orders[0] ?? this.#shown + 1) - 1}`;
        const membership = this.joins.includes(room) ? "join" : null;
        const events = orders.map((order) => this.#jsonOf(order));
        return { membership, state: [], events, start, end: `s${this.#shown}`, accountData: [] };
      },
      events: async (_token, room, { from, limit }): Promise<EventsPage | "gone"> => {
        const refusal = ready(room);
        if (refusal !== null) return refusal;
        const newer = this.#shownOf(room).filter((order) => order > Number(from.slice(1)));
        const orders = newer.slice(0, limit);
        const end = orders.length < newer.length ? (orders.at(-1) ?? 0) : this.#shown;
        return { chunk: orders.map((order) => this.#jsonOf(order)), start: from, end: `s${end}` };
      },
    };
  }

  #shownOf(room: RoomId): number[] {
    return this.of(room).filter((order) => order <= this.#shown);
  }

  #jsonOf(order: number): JsonObject {
    return { ...(this.events[order - 1]?.event as unknown as JsonObject) };
  }

  #freshNews(): RoomNews {
    return new RoomNews({
      bounds: async () => ({ first: Math.min(1, this.#journal.length), last: this.#journal.length }),
      read: async (after, limit) => this.#journal.slice(after, after + limit),
    });
  }
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
      if (!this.rooms.delete(roomId)) this.faults.push(`${roomId} was told to be gone, and was not there`);
    }
    for (const roomId of joined) this.rooms.delete(roomId);
    for (const [roomId, told] of view.peek) this.#take(roomId, told["timeline"] as unknown as Timeline);
    this.since = tokenOf({ since: next, opening: "now", places: view.places });
  }

  #take(roomId: RoomId, { events, limited, prev_batch }: Timeline): void {
    const orders = events.map((event) => Number(event.event_id.slice(1)));
    const known = limited ? [] : (this.rooms.get(roomId) ?? []);
    const before = limited || known.length === 0 ? Number(prev_batch.slice(1)) : (known.at(-1) ?? 0);
    const all = this.#world.of(roomId).filter((order) => order > before && order <= (orders.at(-1) ?? before));
    if (JSON.stringify(all) !== JSON.stringify(orders)) {
      this.faults.push(
        `${roomId}: ${JSON.stringify(orders)} was told after ${before}, and ${JSON.stringify(all)} came`,
      );
    }
    if (this.#world.back.delete(roomId) && !limited) this.faults.push(`${roomId} was told without a gap`);
    this.rooms.set(roomId, [...known, ...orders]);
  }
}
