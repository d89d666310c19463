import type { RoomId } from "../../../model/ids.ts";
import { written } from "../../../model/json.ts";
import type { EventsPage } from "../msc2753/contracts.ts";
import type { Askers } from "./contracts.ts";
import type { SharedLook } from "./look.ts";
import { withoutIgnored } from "./rooms.ts";
import type { Strangers } from "./strangers.ts";

export interface SharedPollsParts {
  readonly look: Pick<SharedLook, "next">;
  readonly strangers: Pick<Strangers, "of">;
  readonly askers: Askers;
}

/** A poll for what comes in a room (spec r0.6.1, `GET /events`). */
export interface RoomPoll {
  readonly token: string;
  readonly roomId: RoomId;
  readonly from: string;
  /** Milliseconds that it may wait. */
  readonly wait: number;
  /** Aborts when whoever asks goes away. */
  readonly gone: AbortSignal;
}

/** Legacy peekers' polls, where all strangers to a room share one. */
export class SharedPolls {
  readonly #parts: SharedPollsParts;

  constructor(parts: SharedPollsParts) {
    this.#parts = parts;
  }

  /**
   * What the poll is answered; null where its user is to be asked for alone.
   * @throws EmissaryError where the homeserver gives no answer now
   */
  async answer(poll: RoomPoll): Promise<Buffer | null> {
    const { look, strangers, askers } = this.#parts;
    const { token, roomId, from, wait, gone } = poll;
    const asker = await strangers.of(token, roomId);
    // Who is not to be told anything is told so at once.
    if (asker === null || (await askers.ignoredBy(token, asker, gone)) === null) return null;
    const page = await look.next(roomId, from, wait, gone);
    if (page === null) return null;
    if (page.chunk.length === 0) return bodyOf(page);
    // As things stand by now: it may have waited long.
    const userId = await strangers.of(token, roomId);
    const ignored = userId === null ? null : await askers.ignoredBy(token, userId, gone);
    return ignored === null ? null : bodyOf(withoutIgnored(page, ignored));
  }
}

function bodyOf({ chunk, start, end }: EventsPage): Buffer {
  return Buffer.from(written({ chunk: [...chunk], start, end }));
}
