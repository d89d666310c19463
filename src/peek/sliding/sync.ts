import type { FastifyReply } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../../model/json.ts";
import { remember } from "../../concurrency/remember.ts";
import { Signal } from "../../concurrency/signal.ts";
import type { Openings } from "../../ledger/openings.ts";
import type { Upstream, UpstreamRequest } from "../../http/upstream.ts";
import type { Identity } from "../contracts.ts";
import type { PeekedRooms, PeekStore } from "../msc2753/contracts.ts";
import { peekFilter } from "../msc2753/filter.ts";
import { isOurToken, NOWHERE, positionOf, tokenOf, type Places } from "../msc2753/token.ts";
import { answerBeside, queryOf, toHomeserver } from "../msc2753/beside.ts";
import { PeekView, type ViewParts } from "../msc2753/view.ts";
import { deviceKey, type Peeker } from "../peeker.ts";
import { mergedSliding, slidingOutlineOf } from "./merge.ts";
import { slidingRoom } from "./room.ts";
import { withSpeakers } from "./speakers.ts";
import {
  MAX_SUBSCRIPTIONS,
  packed,
  subscriptionsOf,
  unpacked,
  unsubscribedOf,
  type Subscription,
  type Subscriptions,
} from "./subscriptions.ts";
import { OVER } from "../../concurrency/over.ts";

export interface SlidingSyncParts extends Omit<ViewParts, "refused" | "refusalOf"> {
  readonly store: PeekStore;
  readonly rooms: PeekedRooms;
  readonly openings: Openings;
  readonly peeker: Pick<Peeker, "open" | "renew" | "close" | "resolve" | "isLongEnough" | "holderOf">;
  readonly identify: (token: string) => Promise<Identity | null>;
  readonly stopping: AbortSignal;
}

export interface SlidingRequest {
  readonly upstream: Upstream;
  readonly token: string;
  readonly request: UpstreamRequest;
  readonly body: JsonObject;
  readonly reply: FastifyReply;
}

interface Position {
  readonly since: string | null;
  readonly places: Places;
  readonly subscriptions: Subscriptions;
  /** Whether the client names all its rooms in each request, and so unsubscribes by omission. */
  readonly isWhole: boolean;
}

/** A client's connection (MSC4186): its user, and the name of its leases. */
interface Connection {
  readonly identity: Identity;
  readonly who: string;
  readonly device: string;
}

const MAX_ANSWER = 64 * 1024 * 1024;
/** Longest time by which a poll extends a lease, in milliseconds. */
const LONGEST_POLL_MS = 5 * 60_000;
/** How long a membership is not asked for again, nor a refused room opened again, in milliseconds. */
const KEPT_MS = 60_000;
const KEPT = 10_000;
const ASK_MS = 10_000;
const NONE: Position = { since: null, places: new Map(), subscriptions: new Map(), isWhole: false };
const ALL = peekFilter({});

/**
 * Simplified sliding sync (MSC4186). Homeservers return nothing of a subscribed room to users who are not members. So
 * Emissary opens the room as for a read, and sends it as in MSC2753's `/sync`. The connection's places and
 * subscriptions are in its `pos`.
 */
export class SlidingSync {
  readonly #parts: SlidingSyncParts;
  /** Until when a membership is known, and until when a refused room is not tried again. */
  readonly #members = new Map<string, number>();
  readonly #failed = new Map<string, number>();
  readonly #opening = new Set<string>();
  readonly #opened = new Signal();

  constructor(parts: SlidingSyncParts) {
    this.#parts = parts;
  }

  /** @throws EmissaryError `bad-parameter` for an invalid `pos` of ours; or if the homeserver gives no answer */
  async sync(asked: SlidingRequest): Promise<FastifyReply> {
    const { upstream, token, request, body, reply } = asked;
    const query = queryOf(request.path);
    const position = await this.#positionOf(query.get("pos"));
    const pass = (): Promise<FastifyReply> =>
      upstream.asCaller(toHomeserver(request, ["pos", position.since], null), reply);
    const named = subscriptionsOf(body);
    if (named.size === 0 && position.subscriptions.size === 0) return pass();
    const identity = await this.#parts.identify(token);
    if (identity === null) return pass();
    const connection = this.#connectionOf(identity, body);
    const isWhole = position.isWhole || [...named.keys()].some((roomId) => position.subscriptions.has(roomId));
    const wanted = wantedOf(position, named, unsubscribedOf(body), isWhole);
    for (const roomId of position.subscriptions.keys()) {
      if (!wanted.has(roomId)) await this.#parts.peeker.close(connection.who, roomId);
    }
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort(OVER));
    await this.#dropJoined(connection, token, wanted, gone.signal);
    if (wanted.size === 0) return pass();
    const poll = Math.min(Math.max(Number(query.get("timeout")) || 0, 0), LONGEST_POLL_MS);
    for (const roomId of wanted.keys()) void this.#open(connection, roomId, poll);
    return this.#merged(asked, connection, { ...position, subscriptions: wanted, isWhole }, gone);
  }

  #connectionOf(identity: Identity, body: JsonObject): Connection {
    const name = stringAt(body, "conn_id") ?? "";
    const who = `${deviceKey(identity)}\nsliding ${name.slice(0, 64)}`;
    return { identity, who, device: this.#parts.peeker.holderOf(who).name };
  }

  /** Returns the client's position. A place from a lost time becomes NOWHERE: its room is sent anew. */
  async #positionOf(pos: string | null): Promise<Position> {
    if (pos === null || !isOurToken(pos)) return { ...NONE, since: pos };
    const { since, opening, places, more } = positionOf(pos);
    const { openings, news, store } = this.#parts;
    const held = { seq: await news.read(), change: await store.newest() };
    const known = [...places].map(([roomId, place]) => {
      const isHeld = openings.has({ opening, seq: place.seq, change: place.change }, held);
      return [roomId, isHeld ? place : { ...place, seq: NOWHERE }] as const;
    });
    const kept = isJsonObject(more) ? more : {};
    const subscriptions = unpacked(kept["subscriptions"]);
    return { since, places: new Map(known), subscriptions, isWhole: kept["isWhole"] === true };
  }

  /** Leaves rooms that the user has joined to the homeserver. */
  async #dropJoined(
    { identity, who, device }: Connection,
    token: string,
    wanted: Map<RoomId, Subscription>,
    abort: AbortSignal,
  ): Promise<void> {
    const { rooms, peeker } = this.#parts;
    for (const roomId of wanted.keys()) {
      const key = `${device} ${roomId}`;
      if (!this.#isKept(this.#members, key)) {
        if (this.#isKept(this.#failed, key) || peeker.isLongEnough(who, roomId)) continue;
        if (isOutside(await rooms.membership(token, roomId, identity.userId, abort))) continue;
        this.#keep(this.#members, key);
      }
      wanted.delete(roomId);
    }
  }

  #keep(memory: Map<string, number>, key: string): void {
    remember(memory, key, this.#parts.clock.now() + KEPT_MS, KEPT);
  }

  #isKept(memory: ReadonlyMap<string, number>, key: string): boolean {
    return (memory.get(key) ?? 0) > this.#parts.clock.now();
  }

  /** Opens the room in the background. The pseudouser's arrival wakes a poll; the next poll continues. */
  async #open({ who, device }: Connection, roomId: RoomId, poll: number): Promise<void> {
    const { peeker, store, stopping } = this.#parts;
    const key = `${device} ${roomId}`;
    if (this.#opening.has(key) || this.#isKept(this.#failed, key)) return;
    if (peeker.isLongEnough(who, roomId, poll)) return;
    this.#opening.add(key);
    try {
      const isHeld = (await store.peeksOf(device)).some((peek) => peek.roomId === roomId);
      if (isHeld) await peeker.renew(who, roomId, poll);
      else await peeker.open(who, await peeker.resolve(roomId, []), stopping);
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.#keep(this.#failed, key);
    } finally {
      this.#opening.delete(key);
      this.#opened.notify();
    }
  }

  async #merged(
    { upstream, token, request, reply }: SlidingRequest,
    connection: Connection,
    position: Position,
    gone: AbortController,
  ): Promise<FastifyReply> {
    const { clock, stopping } = this.#parts;
    const { device } = connection;
    const { since, subscriptions, places } = position;
    const limitOf = (roomId: RoomId): number => subscriptions.get(roomId)?.limit ?? 1;
    const isOpening = (roomId: RoomId): boolean => this.#opening.has(`${device} ${roomId}`);
    const viewer = { device, token, filter: ALL, limitOf, isOpening, anew: false, gone: gone.signal };
    const refused = (roomId: RoomId): void => this.#keep(this.#failed, `${device} ${roomId}`);
    const signals = [...this.#parts.signals, this.#opened];
    const parts = { ...this.#parts, signals, refused, refusalOf: () => null };
    const view = new PeekView(parts, viewer, places);
    const revise = (body: Buffer): Promise<Buffer | null> => this.#revised(body, view, { connection, position, token });
    await answerBeside(view, {
      upstream,
      reply,
      waiting: toHomeserver(request, ["pos", since], null),
      atOnce: toHomeserver(request, ["pos", since], 0),
      revision: { limit: MAX_ANSWER, revise },
      clock,
      stopping,
      gone,
    });
    return reply;
  }

  async #revised(
    body: Buffer,
    view: PeekView,
    asked: { readonly connection: Connection; readonly position: Position; readonly token: string },
  ): Promise<Buffer | null> {
    const outline = slidingOutlineOf(body);
    if (outline === null) return null;
    const { connection, position, token } = asked;
    const { identity, who, device } = connection;
    const subscriptions = new Map(position.subscriptions);
    for (const roomId of outline.rooms) {
      if (!subscriptions.has(roomId)) continue;
      // The homeserver's own answer comes first: the user has joined, or once was a member.
      view.scheduleRetry([roomId]);
      const membership = await this.#parts.rooms.membership(
        token,
        roomId,
        identity.userId,
        AbortSignal.timeout(ASK_MS),
      );
      if (isOutside(membership)) continue;
      subscriptions.delete(roomId);
      this.#keep(this.#members, `${device} ${roomId}`);
      await this.#parts.peeker.close(who, roomId);
    }
    // Names and counts need the room's whole state.
    await view.readAll();
    for (const roomId of view.left) this.#keep(this.#failed, `${device} ${roomId}`);
    const rooms = new Map<RoomId, JsonObject>();
    for (const [roomId, told] of view.peek) {
      const subscription = subscriptions.get(roomId);
      if (subscription === undefined) continue;
      const isInitial = view.begun.has(roomId);
      const ask = (userId: UserId): Promise<JsonObject | null> => this.#member(token, roomId, userId);
      const room = isInitial ? told : await withSpeakers(told, subscription, ask);
      rooms.set(roomId, slidingRoom(room, subscription, { roomId, userId: identity.userId }, isInitial));
    }
    if (subscriptions.size === 0 && rooms.size === 0) return null;
    const more = { subscriptions: packed(subscriptions), isWhole: position.isWhole };
    const next = tokenOf({ since: outline.pos, opening: this.#parts.openings.name, places: view.places, more });
    return mergedSliding(body, outline, { next, rooms });
  }

  /** Returns a member's event. A client without it shows the user's ID. */
  async #member(token: string, roomId: RoomId, userId: UserId): Promise<JsonObject | null> {
    try {
      return await this.#parts.rooms.member(token, roomId, userId, AbortSignal.timeout(ASK_MS));
    } catch (error) {
      if (error instanceof EmissaryError) return null;
      throw error;
    }
  }
}

/** Merges subscriptions. Older clients name a room once, others name all rooms each time. */
function wantedOf(
  { subscriptions }: Position,
  named: Subscriptions,
  given: ReadonlySet<string>,
  isWhole: boolean,
): Map<RoomId, Subscription> {
  const all = isWhole ? [...named] : [...subscriptions, ...named];
  return new Map([...new Map(all.filter(([roomId]) => !given.has(roomId)))].slice(0, MAX_SUBSCRIPTIONS));
}

function isOutside(membership: string | null): boolean {
  return membership === null || membership === "leave";
}
