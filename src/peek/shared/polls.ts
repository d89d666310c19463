import type { RoomId, UserId } from "../../model/ids.ts";
import { written } from "../../model/json.ts";
import type { EventsPage } from "../msc2753/contracts.ts";
import type { Askers } from "./contracts.ts";
import type { SharedLook } from "./look.ts";
import { withoutIgnored } from "./rooms.ts";
import type { Strangers } from "./strangers.ts";

export interface SharedPollsParts {
  readonly look: Pick<SharedLook, "hasNews" | "next">;
  readonly strangers: Pick<Strangers, "of">;
  readonly askers: Askers;
  /** Cached answers of the homeserver, for polls that wait. */
  readonly words: Askers;
}

/** A poll for new events of a room (spec r0.6.1, `GET /events`). */
export interface RoomPoll {
  readonly token: string;
  readonly roomId: RoomId;
  readonly from: string;
  /** Longest wait in milliseconds. */
  readonly wait: number;
  readonly gone: AbortSignal;
}

/** Polls of legacy peekers. All strangers to a room share one. */
export class SharedPolls {
  readonly #parts: SharedPollsParts;

  constructor(parts: SharedPollsParts) {
    this.#parts = parts;
  }

  /** Returns the answer; null if the user must be asked for alone. @throws EmissaryError if there is none now */
  async answer(poll: RoomPoll): Promise<Buffer | null> {
    const { look, strangers } = this.#parts;
    const { token, roomId, from, wait, gone } = poll;
    const asker = await strangers.of(token, roomId);
    if (asker === null) return null;
    const isToWait = wait > 0 && !look.hasNews(roomId, from);
    // Reports an invalid token at once, not after the wait.
    if (isToWait && (await this.#ignoredBy(asker, poll)) === null) return null;
    const page = await look.next(roomId, from, wait, gone);
    if (page === null) return null;
    if (isToWait && page.chunk.length === 0) return bodyOf(page);
    // It may have waited long: check again.
    const userId = await strangers.of(token, roomId);
    const ignored = userId === null ? null : await this.#ignoredBy(userId, poll);
    return ignored === null ? null : bodyOf(withoutIgnored(page, ignored));
  }

  #ignoredBy(userId: UserId, { token, wait, gone }: RoomPoll): Promise<ReadonlySet<string> | null> {
    const { askers, words } = this.#parts;
    return (wait > 0 ? words : askers).ignoredBy(token, userId, gone);
  }
}

/** Serialized pages. A page for many readers is serialized once. */
const bodies = new WeakMap<EventsPage, Buffer>();

function bodyOf(page: EventsPage): Buffer {
  const known = bodies.get(page);
  if (known !== undefined) return known;
  const { chunk, start, end } = page;
  const body = Buffer.from(written({ chunk: [...chunk], start, end }));
  bodies.set(page, body);
  return body;
}
