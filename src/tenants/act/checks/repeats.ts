import type { Clock } from "../../../model/clock.ts";
import type { WholeAnswer } from "../../../http/upstream.ts";
import type { SentEvent, SqliteSentStore } from "../../store/sent.ts";

/** How long Synapse remembers a device's transaction IDs, milliseconds. */
const REMEMBERED_MS = 24 * 60 * 60_000;

/** A request that makes a single event, however often it is repeated. */
export type Sending = Omit<SentEvent, "eventId">;

/**
 * Makes one event for one transaction ID, even if the homeserver has forgotten it. An event is known from the commit of
 * its audit row. Until then the homeserver remembers it for the sending device (homeserver/device.ts).
 */
export class Repeats {
  readonly #sent: Pick<SqliteSentStore, "find">;
  readonly #clock: Clock;
  /** Requests under way. */
  readonly #underWay = new Map<string, Promise<WholeAnswer>>();

  constructor(sent: Pick<SqliteSentStore, "find">, clock: Clock) {
    this.#sent = sent;
    this.#clock = clock;
  }

  /** Returns the answer of `send`. Concurrent requests share one call; later ones get the known event. */
  async once(txnId: string, send: () => Promise<WholeAnswer>): Promise<WholeAnswer> {
    const eventId = await this.#sent.find(txnId, this.#clock.now() - REMEMBERED_MS);
    if (eventId !== null) return answerOf(eventId);
    const earlier = this.#underWay.get(txnId);
    if (earlier !== undefined) return earlier;
    const mine = send();
    this.#underWay.set(txnId, mine);
    try {
      return await mine;
    } finally {
      this.#underWay.delete(txnId);
    }
  }
}

/** Answers like a homeserver that sent the event. */
export function answerOf(eventId: string): WholeAnswer {
  const body = Buffer.from(JSON.stringify({ event_id: eventId }));
  return { status: 200, headers: { "content-type": "application/json" }, body };
}
