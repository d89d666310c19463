import type { Readable } from "node:stream";
import type { Openings } from "../../ledger/openings.ts";
import type { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import type { PeekedRooms } from "../homeserver/peeked-rooms.ts";
import { merged, outlineOf } from "../merge.ts";
import type { TokenChecks } from "../shared/token-checks.ts";
import { deviceKey, type Peeker } from "../peeker.ts";
import type { PeekStore } from "../store.ts";
import type { KnownUsers } from "../users.ts";
import { answerBeside, queryOf, toHomeserver, type Apart, type SyncRequest } from "./beside.ts";
import { Filters } from "./filter.ts";
import { isOurToken, knownPlaces, positionOf, tokenOf, type Places } from "./token.ts";
import { Waits } from "./waits.ts";
import { PeekView, type ViewParts } from "./view.ts";
import { tokenHash } from "../../model/token-hash.ts";
import { OVER } from "../../concurrency/over.ts";

export interface DeviceSyncParts extends Omit<ViewParts, "refused" | "refusalOf"> {
  readonly store: PeekStore;
  readonly rooms: PeekedRooms;
  /** The same for devices that follow a room. The homeserver's recent answer about their tokens is good enough. */
  readonly followed: PeekedRooms;
  readonly checks: TokenChecks;
  readonly openings: Openings;
  readonly users: KnownUsers;
  readonly peeker: Peeker;
  readonly stopping: AbortSignal;
}

/** A larger answer goes on unchanged with the homeserver's own token, so the next sync sends all peeks anew. */
const MAX_ANSWER = 64 * 1024 * 1024;
const NONE: Places = new Map();
/** How long a device gets answers without the homeserver's part; longer if that was silent for SILENT_MS. In ms. */
const ALONE_MS = 5_000;
const LONGEST_ALONE_MS = 60_000;
const SILENT_MS = 1_000;
/** Most devices whose last whole answer is remembered. */
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
        return this.#merged(asked, device, { since: position.since, places: await knownPlaces(position, this.#parts) });
      }
      await upstream.asCaller(toHomeserver(request, ["since", position.since]), reply);
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
      this.#parts.checks.doubt(token);
      passing.delete(peeks);
      if (passing.size === 0) this.#passing.delete(key);
    }
  }

  /** Looks up the device of a new token: a device can get another token at any time. */
  async #identified(token: string, key: string): Promise<string | null> {
    const { users, peeker, store } = this.#parts;
    const identity = await users.identifyNow(token);
    if (identity === null) return null;
    const { name } = peeker.holderOf(deviceKey(identity));
    await store.remember(name, key);
    return name;
  }

  async #merged(
    asked: SyncRequest,
    device: string,
    { since, places }: { readonly since: string | null; readonly places: Places },
  ): Promise<void> {
    const { token, request, reply } = asked;
    const { stopping, clock, openings, checks } = this.#parts;
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort(OVER));
    const query = queryOf(request.path);
    const owner = async (): Promise<UserId | null> => (await this.#parts.users.identify(token))?.userId ?? null;
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
    const apart = (from: string): Apart => ({
      waits: this.#waits,
      isProven: () => checks.isProven(token),
      isKnown: async () => (await this.#parts.users.identifyNow(token)) !== null,
      heard: () => checks.doubt(token),
      // The view was read with the device's own token, or one proven recently.
      alone: async (asked) => {
        // A stream goes with the homeserver's answer, which can break off with it.
        if (view.peek.size === 0 || !view.isWhole || !this.#mayWait(device, asked)) return null;
        const body = Buffer.from(JSON.stringify({ next_batch: from }));
        const told = await withPeeks(body, view, openings.name);
        return Buffer.isBuffer(told) ? told : body;
      },
    });
    await answerBeside(view, {
      ...asked,
      position: ["since", since],
      revision: {
        limit: MAX_ANSWER,
        revise: (body) => {
          remember(this.#told, device, clock.now(), REMEMBERED);
          return withPeeks(body, view, openings.name);
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

async function withPeeks(body: Buffer, view: PeekView, opening: string): Promise<Buffer | Readable | null> {
  const outline = outlineOf(body, "next_batch");
  if (outline === null) return null;
  await view.join(outline.joined);
  const { places } = view;
  const isOurs = view.isPeeking || places.size > 0;
  const next = isOurs ? tokenOf({ since: outline.token, opening, places }) : outline.token;
  // If the homeserver sends the room itself, its end as a peek is not sent as well.
  const left = [...view.left].filter((roomId) => !outline.rooms.has(roomId));
  return merged(body, outline, { next, peek: view.texts(), left });
}
