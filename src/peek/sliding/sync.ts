import type { FastifyReply } from "fastify";
import type { Readable } from "node:stream";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isJsonObject, stringAt, written, type JsonObject } from "../../model/json.ts";
import { remember } from "../../concurrency/remember.ts";
import { Signal } from "../../concurrency/signal.ts";
import { merged, outlineOf } from "../merge.ts";
import { answerBeside, queryOf, toHomeserver, type SyncRequest } from "../msc2753/beside.ts";
import { ALL } from "../msc2753/filter.ts";
import { isOurToken, knownPlaces, positionOf, tokenOf, type Places } from "../msc2753/token.ts";
import type { DeviceSyncParts } from "../msc2753/sync.ts";
import { PeekView } from "../msc2753/view.ts";
import { deviceKey } from "../peeker.ts";
import type { Identity } from "../users.ts";
import { orNull } from "../waiting.ts";
import { slidingRoom, withSpeakers } from "./room.ts";

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

export type SlidingSyncParts = Omit<DeviceSyncParts, "followed" | "checks">;

export interface SlidingRequest extends SyncRequest {
  readonly body: JsonObject;
}

interface Position {
  readonly since: string | null;
  readonly places: Places;
  readonly subscriptions: Subscriptions;
  /** Whether the client names all its rooms in each request, and so unsubscribes by omission. */
  readonly isWhole: boolean;
}

/** A request on a client's connection (MSC4186): the connection's user and leases, and its position. */
interface Poll extends Position {
  readonly asked: SlidingRequest;
  readonly identity: Identity;
  /** The name from which the leases are made, and their own. */
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
    const pass = (): Promise<FastifyReply> => upstream.asCaller(toHomeserver(request, ["pos", position.since]), reply);
    const named = subscriptionsOf(body);
    if (named.size === 0 && position.subscriptions.size === 0) return pass();
    const identity = await this.#parts.users.identifyNow(token);
    if (identity === null) return pass();
    const who = `${deviceKey(identity)}\nsliding ${(stringAt(body, "conn_id") ?? "").slice(0, 64)}`;
    const isWhole = position.isWhole || [...named.keys()].some((roomId) => position.subscriptions.has(roomId));
    const subscriptions = wantedOf(position, named, unsubscribedOf(body), isWhole);
    const device = this.#parts.peeker.holderOf(who).name;
    const poll = { ...position, asked, identity, who, device, subscriptions, isWhole };
    for (const roomId of position.subscriptions.keys()) {
      if (!subscriptions.has(roomId)) await this.#parts.peeker.close(who, roomId);
    }
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort(OVER));
    for (const roomId of [...subscriptions.keys()]) {
      if (await this.#isJoined(poll, roomId, gone.signal)) subscriptions.delete(roomId);
    }
    if (subscriptions.size === 0) return pass();
    const wait = Math.min(Math.max(Number(query.get("timeout")) || 0, 0), LONGEST_POLL_MS);
    for (const roomId of subscriptions.keys()) void this.#open(poll, roomId, wait);
    return this.#merged(poll, gone);
  }

  async #positionOf(pos: string | null): Promise<Position> {
    if (pos === null || !isOurToken(pos)) return { ...NONE, since: pos };
    const position = positionOf(pos);
    const { since, more } = position;
    const kept = isJsonObject(more) ? more : {};
    const places = await knownPlaces(position, this.#parts);
    return { since, places, subscriptions: unpacked(kept["subscriptions"]), isWhole: kept["isWhole"] === true };
  }

  /** Whether the user has joined the room. The homeserver then sends it. */
  async #isJoined({ asked, identity, who, device }: Poll, roomId: RoomId, abort: AbortSignal): Promise<boolean> {
    const { rooms, peeker } = this.#parts;
    const key = `${device} ${roomId}`;
    if (this.#isKept(this.#members, key)) return true;
    if (this.#isKept(this.#failed, key) || peeker.isLongEnough(who, roomId)) return false;
    if (isOutside(await rooms.membership(asked.token, roomId, identity.userId, abort))) return false;
    this.#keep(this.#members, key);
    return true;
  }

  #keep(memory: Map<string, number>, key: string): void {
    remember(memory, key, this.#parts.clock.now() + KEPT_MS, KEPT);
  }

  #isKept(memory: ReadonlyMap<string, number>, key: string): boolean {
    return (memory.get(key) ?? 0) > this.#parts.clock.now();
  }

  /** Opens the room in the background. The pseudouser's arrival wakes a poll; the next poll continues. */
  async #open({ who, device }: Poll, roomId: RoomId, wait: number): Promise<void> {
    const { peeker, store, stopping } = this.#parts;
    const key = `${device} ${roomId}`;
    if (this.#opening.has(key) || this.#isKept(this.#failed, key)) return;
    if (peeker.isLongEnough(who, roomId, wait)) return;
    this.#opening.add(key);
    try {
      const isHeld = (await store.peeksOf(device)).some((peek) => peek.roomId === roomId);
      if (isHeld) await peeker.renew(who, roomId, wait);
      else await peeker.open(who, await peeker.resolve(roomId, []), stopping);
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.#keep(this.#failed, key);
    } finally {
      this.#opening.delete(key);
      this.#opened.notify();
    }
  }

  async #merged(poll: Poll, gone: AbortController): Promise<FastifyReply> {
    const { clock, stopping } = this.#parts;
    const { asked, device, since, subscriptions, places } = poll;
    const limitOf = (roomId: RoomId): number => subscriptions.get(roomId)?.limit ?? 1;
    const isOpening = (roomId: RoomId): boolean => this.#opening.has(`${device} ${roomId}`);
    const viewer = { device, token: asked.token, filter: ALL, limitOf, isOpening, anew: false, gone: gone.signal };
    const refused = (roomId: RoomId): void => this.#keep(this.#failed, `${device} ${roomId}`);
    const signals = [...this.#parts.signals, this.#opened];
    const view = new PeekView({ ...this.#parts, signals, refused, refusalOf: () => null }, viewer, places);
    const revision = { limit: MAX_ANSWER, revise: (body: Buffer) => this.#revised(body, view, poll) };
    await answerBeside(view, { ...asked, position: ["pos", since], revision, clock, stopping, gone });
    return asked.reply;
  }

  async #revised(body: Buffer, view: PeekView, poll: Poll): Promise<Buffer | Readable | null> {
    const outline = outlineOf(body, "pos");
    if (outline === null) return null;
    const { identity, who, device, isWhole } = poll;
    const { userId } = identity;
    const { token } = poll.asked;
    const subscriptions = new Map(poll.subscriptions);
    for (const roomId of outline.rooms) {
      if (!subscriptions.has(roomId)) continue;
      // The homeserver's own answer comes first: the user has joined, or once was a member.
      view.scheduleRetry(roomId);
      if (isOutside(await this.#parts.rooms.membership(token, roomId, userId, AbortSignal.timeout(ASK_MS)))) continue;
      subscriptions.delete(roomId);
      this.#keep(this.#members, `${device} ${roomId}`);
      await this.#parts.peeker.close(who, roomId);
    }
    // Names and counts need the room's whole state.
    await view.readAll();
    for (const roomId of view.left) this.#keep(this.#failed, `${device} ${roomId}`);
    const rooms = new Map<RoomId, string>();
    for (const [roomId, told] of view.peek) {
      const subscription = subscriptions.get(roomId);
      if (subscription === undefined) continue;
      const isInitial = view.begun.has(roomId);
      // A client without a member's event shows the user's ID.
      const ask = (speaker: UserId): Promise<JsonObject | null> =>
        orNull(this.#parts.rooms.member(token, roomId, speaker, AbortSignal.timeout(ASK_MS)));
      const room = isInitial ? told : await withSpeakers(told, subscription, ask);
      rooms.set(roomId, written(slidingRoom(room, subscription, { roomId, userId }, isInitial)));
    }
    if (subscriptions.size === 0 && rooms.size === 0) return null;
    const more = { subscriptions: packed(subscriptions), isWhole };
    const next = tokenOf({ since: outline.token, opening: this.#parts.openings.name, places: view.places, more });
    return merged(body, outline, { next, rooms });
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
