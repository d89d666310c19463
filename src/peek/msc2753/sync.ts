import type { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Openings } from "../../ledger/openings.ts";
import type { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import type { Upstream, UpstreamRequest } from "../../http/upstream.ts";
import type { Apart } from "./apart.ts";
import { answerBeside, queryOf, toHomeserver } from "./beside.ts";
import type { PeekStore, PeekedRooms } from "./contracts.ts";
import { Filters } from "./filters.ts";
import type { AskersWords } from "../shared/words.ts";
import { mergedSync, outlineOf } from "./merge.ts";
import { isOurToken, NOWHERE, positionOf, tokenOf, type Places, type SyncPosition } from "./token.ts";
import { Waits } from "./waits.ts";
import { PeekView, type ViewParts } from "./view.ts";
import { tokenHash } from "../../model/token-hash.ts";
import { OVER } from "../../concurrency/over.ts";

/** A device by the name of its leases, and whose it is. */
export interface Device {
  readonly userId: UserId;
  readonly name: string;
}

export interface DeviceSyncParts extends Omit<ViewParts, "refused" | "refusalOf"> {
  readonly store: PeekStore;
  readonly rooms: PeekedRooms;
  /** The same, for devices that wait for one message after the other: what the homeserver said of their tokens lately is good enough. */
  readonly followed: PeekedRooms;
  readonly words: Pick<AskersWords, "isProven" | "doubt">;
  readonly openings: Openings;
  /** Whose a token is, as the homeserver says; null for nobody's. */
  readonly identify: (token: string) => Promise<Device | null>;
  /** The same, asked anew. */
  readonly identifyNow: (token: string) => Promise<Device | null>;
  /** Aborts when Emissary stops. */
  readonly stopping: AbortSignal;
}

export interface SyncRequest {
  /** Where the homeserver's part of the answer is had. */
  readonly upstream: Upstream;
  readonly token: string;
  readonly request: UpstreamRequest;
  readonly reply: FastifyReply;
}

/** An answer that is larger goes on as the homeserver gave it, and its token is then the homeserver's: the next one tells all peeks. */
const MAX_ANSWER = 64 * 1024 * 1024;
const NONE: Places = new Map();
/**
 * How long a device is told of peeked rooms alone until the homeserver's own part has its turn, milliseconds; and how long where the
 * homeserver was asked and for `SILENT_MS` had nothing to say. And so many devices are remembered.
 */
const ALONE_MS = 5_000;
const LONGEST_ALONE_MS = 60_000;
const SILENT_MS = 1_000;
const REMEMBERED = 10_000;
/** So many rooms that cannot be told are remembered, and for so long, milliseconds. */
const REFUSED = 1_000;
const REFUSED_MS = 60 * 60_000;

/**
 * `/sync` with `rooms.peek` (MSC2753): what the homeserver answers, and the rooms that the device peeks into. What is told of these
 * is what the homeserver shows the user who asks; all that we add of our own is when to look, and that a peek is over.
 */
export class DeviceSync {
  readonly #parts: DeviceSyncParts;
  readonly #filters: Filters;
  readonly #refused = new Map<RoomId, { readonly error: EmissaryError; readonly until: number }>();
  /** Syncs that pass through, by the hash of their token: a peek that begins meanwhile is news to them. */
  readonly #passing = new Map<string, Set<AbortController>>();
  readonly #waits: Waits;
  /** When the homeserver had last said what it has for a device. */
  readonly #told = new Map<string, number>();

  constructor(parts: DeviceSyncParts) {
    this.#parts = parts;
    this.#filters = new Filters(parts.rooms);
    this.#waits = new Waits(parts.clock, parts.stopping);
  }

  /** The device peeks now, and its next sync is to tell so. */
  async begun(device: string, token: string): Promise<void> {
    const key = tokenHash(token);
    await this.#parts.store.remember(device, key);
    for (const passing of this.#passing.get(key) ?? []) passing.abort(OVER);
  }

  /** Why no device is told of this room, as it was found out lately; else null. */
  refusalOf(roomId: RoomId): EmissaryError | null {
    const refused = this.#refused.get(roomId);
    return refused !== undefined && this.#parts.clock.now() < refused.until ? refused.error : null;
  }

  /** @throws EmissaryError `bad-parameter` for a token of ours that is none, and where the homeserver gives no answer */
  async sync(asked: SyncRequest): Promise<void> {
    const { upstream, token, request, reply } = asked;
    const since = queryOf(request.path).get("since");
    const key = tokenHash(token);
    if (since !== null && isOurToken(since)) {
      const position = positionOf(since);
      const device = (await this.#parts.store.deviceOf(key)) ?? (await this.#identified(token, key));
      if (device !== null) {
        return this.#merged(asked, device, { since: position.since, places: await this.#known(position) });
      }
      await upstream.asCaller(toHomeserver(request, ["since", position.since], null), reply);
      return;
    }
    let device = await this.#parts.store.deviceOf(key);
    if (device === null) {
      if (await this.#pass(asked, key)) return;
      device = await this.#parts.store.deviceOf(key);
    }
    if (device === null) await upstream.asCaller(request, reply);
    else await this.#merged(asked, device, { since, places: NONE });
  }

  /** False where the device began to peek before the homeserver had anything to say. */
  async #pass({ upstream, token, request, reply }: SyncRequest, key: string): Promise<boolean> {
    const passing = this.#passing.get(key) ?? new Set();
    const peeks = new AbortController();
    passing.add(peeks);
    this.#passing.set(key, passing);
    try {
      return await upstream.asCallerUntil(peeks.signal, request, reply);
    } finally {
      this.#parts.words.doubt(token);
      passing.delete(peeks);
      if (passing.size === 0) this.#passing.delete(key);
    }
  }

  /** A token that we have not seen: a device may get another one at any time. */
  async #identified(token: string, key: string): Promise<string | null> {
    const device = await this.#parts.identifyNow(token);
    if (device === null) return null;
    await this.#parts.store.remember(device.name, key);
    return device.name;
  }

  /** The places as they can be gone on from. One that lies in a lost time stays, so that the room's end is told; but it is nowhere. */
  async #known({ opening, places }: SyncPosition): Promise<Places> {
    const { openings, news, store } = this.#parts;
    const held = { seq: await news.read(), change: await store.newest() };
    const known = [...places].map(([roomId, place]) => {
      const isHeld = openings.has({ opening, seq: place.seq, change: place.change }, held);
      return [roomId, isHeld ? place : { ...place, seq: NOWHERE }] as const;
    });
    return new Map(known);
  }

  async #merged(
    { upstream, token, request, reply }: SyncRequest,
    device: string,
    { since, places }: { readonly since: string | null; readonly places: Places },
  ): Promise<void> {
    const { stopping, clock, openings, words } = this.#parts;
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort(OVER));
    const query = queryOf(request.path);
    const owner = async (): Promise<UserId | null> => (await this.#parts.identify(token))?.userId ?? null;
    const filter = await this.#filters.of(query.get("filter"), device, token, owner);
    const anew = query.get("full_state") === "true";
    const refused = (roomId: RoomId, error: EmissaryError): void => {
      remember(this.#refused, roomId, { error, until: this.#parts.clock.now() + REFUSED_MS }, REFUSED);
    };
    const refusalOf = (roomId: RoomId): EmissaryError | null => this.refusalOf(roomId);
    const isFollowing = since !== null && Number(query.get("timeout") ?? 0) > 0;
    const rooms = isFollowing ? this.#parts.followed : this.#parts.rooms;
    const viewer = { device, token, filter, anew, gone: gone.signal };
    const view = new PeekView({ ...this.#parts, rooms, refused, refusalOf }, viewer, places);
    const waiting = toHomeserver(request, ["since", since], null);
    const apart = (from: string): Apart => ({
      waits: this.#waits,
      key: `${tokenHash(token)} ${waiting.path}`,
      isProven: () => words.isProven(token),
      isKnown: async () => (await this.#parts.identifyNow(token)) !== null,
      heard: () => words.doubt(token),
      // What is told was asked for with the device's own token, or with one that was proven lately.
      alone: async (asked) => {
        // What comes in pieces goes with the homeserver's answer, which can break off with it.
        if (view.peek.size === 0 || !view.isWhole || !this.#mayWait(device, asked)) return null;
        const body = Buffer.from(JSON.stringify({ next_batch: from }));
        const told = await merged(body, view, openings.name);
        return Buffer.isBuffer(told) ? told : body;
      },
    });
    await answerBeside(view, {
      upstream,
      reply,
      waiting,
      atOnce: toHomeserver(request, ["since", since], 0),
      revision: {
        limit: MAX_ANSWER,
        revise: (body) => {
          remember(this.#told, device, clock.now(), REMEMBERED);
          return merged(body, view, openings.name);
        },
      },
      apart: isFollowing ? apart(since) : null,
      clock,
      stopping,
      gone,
    });
  }

  /** Whether what the homeserver has for the device may come with the next answer. @param asked when the homeserver was asked for it */
  #mayWait(device: string, asked: number): boolean {
    const now = this.#parts.clock.now();
    const since = now - (this.#told.get(device) ?? -Infinity);
    return since < (now - asked >= SILENT_MS ? LONGEST_ALONE_MS : ALONE_MS);
  }
}

async function merged(body: Buffer, view: PeekView, opening: string): Promise<Buffer | Readable | null> {
  const outline = outlineOf(body);
  if (outline === null) return null;
  await view.join(outline.joined);
  const { places } = view;
  const isOurs = view.isPeeking || places.size > 0;
  const next = isOurs ? tokenOf({ since: outline.nextBatch, opening, places }) : outline.nextBatch;
  // Of a room that the homeserver tells of itself it is not said beside that it is gone.
  const left = [...view.left].filter((roomId) => !outline.rooms.has(roomId));
  return mergedSync(body, outline, { next, peek: view.texts(), left });
}
