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

/** A device, by the name of its leases, and its user. */
export interface Device {
  readonly userId: UserId;
  readonly name: string;
}

export interface DeviceSyncParts extends Omit<ViewParts, "refused" | "refusalOf"> {
  readonly store: PeekStore;
  readonly rooms: PeekedRooms;
  /** The same for devices that follow a room. The homeserver's recent answer about their tokens is good enough. */
  readonly followed: PeekedRooms;
  readonly words: Pick<AskersWords, "isProven" | "doubt">;
  readonly openings: Openings;
  /** Returns the token's owner according to the homeserver; null if the token is unknown. */
  readonly identify: (token: string) => Promise<Device | null>;
  /** The same, asked anew. */
  readonly identifyNow: (token: string) => Promise<Device | null>;
  readonly stopping: AbortSignal;
}

export interface SyncRequest {
  /** Where to get the homeserver's part of the answer. */
  readonly upstream: Upstream;
  readonly token: string;
  readonly request: UpstreamRequest;
  readonly reply: FastifyReply;
}

/** A larger answer goes on unchanged with the homeserver's own token, so the next sync sends all peeks anew. */
const MAX_ANSWER = 64 * 1024 * 1024;
const NONE: Places = new Map();
/**
 * How long a device gets answers with peeked rooms alone before the homeserver's part is due, in milliseconds. The
 * longer time applies if the homeserver was silent for `SILENT_MS`. REMEMBERED bounds the devices.
 */
const ALONE_MS = 5_000;
const LONGEST_ALONE_MS = 60_000;
const SILENT_MS = 1_000;
const REMEMBERED = 10_000;
/** Bound of the rooms remembered as refused, and for how long, in milliseconds. */
const REFUSED = 1_000;
const REFUSED_MS = 60 * 60_000;

/**
 * `/sync` with `rooms.peek` (MSC2753): the homeserver's answer, and the rooms that the device peeks into, as the
 * homeserver shows them to the user. Emissary adds only when to look, and that a peek has ended.
 */
export class DeviceSync {
  readonly #parts: DeviceSyncParts;
  readonly #filters: Filters;
  readonly #refused = new Map<RoomId, { readonly error: EmissaryError; readonly until: number }>();
  /** Syncs being passed through, by token hash. A peek that begins meanwhile is news to them. */
  readonly #passing = new Map<string, Set<AbortController>>();
  readonly #waits: Waits;
  /** When a device last got the homeserver's part. */
  readonly #told = new Map<string, number>();

  constructor(parts: DeviceSyncParts) {
    this.#parts = parts;
    this.#filters = new Filters(parts.rooms);
    this.#waits = new Waits(parts.clock, parts.stopping);
  }

  /** Called when the device begins a peek. Its next sync includes it. */
  async begun(device: string, token: string): Promise<void> {
    const key = tokenHash(token);
    await this.#parts.store.remember(device, key);
    for (const passing of this.#passing.get(key) ?? []) passing.abort(OVER);
  }

  /** Returns why no device gets this room, if that was found recently; else null. */
  refusalOf(roomId: RoomId): EmissaryError | null {
    const refused = this.#refused.get(roomId);
    return refused !== undefined && this.#parts.clock.now() < refused.until ? refused.error : null;
  }

  /** @throws EmissaryError `bad-parameter` if a token of ours is invalid; also if the homeserver gives no answer */
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

  /** Returns false if the device began to peek before the homeserver had news. */
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

  /** Looks up the device of a new token: a device can get another token at any time. */
  async #identified(token: string, key: string): Promise<string | null> {
    const device = await this.#parts.identifyNow(token);
    if (device === null) return null;
    await this.#parts.store.remember(device.name, key);
    return device.name;
  }

  /** Returns the places to continue from. One from a lost time becomes NOWHERE, so its end is still sent. */
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
      // The view was read with the device's own token, or one proven recently.
      alone: async (asked) => {
        // A stream goes with the homeserver's answer, which can break off with it.
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

  /** Whether the homeserver's part may wait for the next answer. @param asked when the homeserver was asked for it */
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
  // If the homeserver sends the room itself, its end as a peek is not sent as well.
  const left = [...view.left].filter((roomId) => !outline.rooms.has(roomId));
  return mergedSync(body, outline, { next, peek: view.texts(), left });
}
