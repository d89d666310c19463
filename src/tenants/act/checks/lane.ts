import type { Clock } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId, TenantId } from "../../../model/ids.ts";
import { parsedObject } from "../../../model/json.ts";
import type { WholeAnswer } from "../../../http/upstream.ts";

/** Maximum waiting writes of one tenant, in all rooms. */
export const LANE_PLACES = 100;
/** Longest wait of a write, milliseconds. Callers' own limits are commonly longer. */
export const LANE_WAIT_MS = 60_000;
/** The pause if the homeserver names none, and the shortest pause, milliseconds. */
const UNNAMED_PAUSE_MS = 1_000;
const SHORTEST_PAUSE_MS = 100;

interface Waiting extends PromiseWithResolvers<WholeAnswer> {
  /** Its place among all writes, in order of arrival. */
  readonly number: number;
  readonly since: number;
  readonly call: () => Promise<WholeAnswer>;
}

interface Lane {
  readonly tenant: TenantId;
  /** Ordered by number. */
  readonly queue: Waiting[];
  /** The homeserver accepts no write of the lane before this time. */
  notBefore: number;
}

/**
 * Waits out the homeserver's rate limits and keeps the order of a tenant's writes to a room. Writes pass through,
 * several at a time, until one is answered 429. It then waits with all later ones, and they go one by one.
 */
export class WriteLanes {
  readonly #clock: Clock;
  readonly #abort: AbortSignal;
  readonly #lanes = new Map<string, Lane>();
  readonly #waiting = new Map<TenantId, number>();
  #numbers = 0;

  /** @param abort when it fires, waiting writes are refused */
  constructor(clock: Clock, abort: AbortSignal) {
    this.#clock = clock;
    this.#abort = abort;
  }

  /**
   * Returns the answer to a write, retrying `call` while the homeserver limits us. If the caller goes away, the write
   * keeps its place: a repeated request with the same transaction ID is the same event.
   * @throws EmissaryError `limited` if too many writes wait, or this one waits too long; anything that `call` throws
   */
  async put(tenant: TenantId, roomId: RoomId, call: () => Promise<WholeAnswer>): Promise<WholeAnswer> {
    const number = (this.#numbers += 1);
    const key = `${tenant}\n${roomId}`;
    const lane = this.#lanes.get(key);
    if (lane !== undefined) return this.#wait(lane, number, call);
    const answer = await call();
    if (answer.status !== 429) return answer;
    const open = this.#lanes.get(key);
    const limited = open ?? { tenant, queue: [], notBefore: 0 };
    this.#lanes.set(key, limited);
    limited.notBefore = this.#clock.now() + pauseOf(answer);
    const waiting = this.#wait(limited, number, call);
    if (open === undefined) void this.#drain(key, limited);
    return waiting;
  }

  async #wait(lane: Lane, number: number, call: Waiting["call"]): Promise<WholeAnswer> {
    const { tenant, queue } = lane;
    const waiting = this.#waiting.get(tenant) ?? 0;
    if (waiting >= LANE_PLACES) {
      throw this.#tooMuch(lane, `${LANE_PLACES} writes of tenant ${tenant} are already waiting`);
    }
    this.#waiting.set(tenant, waiting + 1);
    const write = { number, since: this.#clock.now(), call, ...Promise.withResolvers<WholeAnswer>() };
    queue.push(write);
    // Several writes may have been under way when the first was limited, and be answered in another order.
    queue.sort((one, other) => one.number - other.number);
    return write.promise;
  }

  /** Lets waiting writes through one at a time. Each stays queued until it is answered, so none overtakes it. */
  async #drain(key: string, lane: Lane): Promise<void> {
    for (let first = lane.queue[0]; first !== undefined; first = lane.queue[0]) {
      const now = this.#clock.now();
      // If only the first gave up, the others would go ahead of its repetition. So all of them give up.
      if (Math.max(now, lane.notBefore) - first.since > LANE_WAIT_MS) {
        this.#giveUp(lane, this.#tooMuch(lane, `it accepts no writes of tenant ${lane.tenant} now`));
        break;
      }
      // The clock may have been set back.
      const pause = Math.min(lane.notBefore - now, LANE_WAIT_MS);
      if (pause > 0) await this.#clock.sleep(pause, this.#abort);
      if (this.#abort.aborted) {
        this.#giveUp(lane, new EmissaryError("not-ready", "Emissary is stopping; ask again soon."));
        break;
      }
      // During the pause an earlier write may have been limited and queued.
      await this.#try(lane, lane.queue[0] ?? first);
    }
    this.#lanes.delete(key);
  }

  async #try(lane: Lane, one: Waiting): Promise<void> {
    try {
      const answer = await one.call();
      if (answer.status === 429) {
        lane.notBefore = this.#clock.now() + pauseOf(answer);
        return;
      }
      one.resolve(answer);
    } catch (error) {
      one.reject(error);
    }
    lane.queue.splice(lane.queue.indexOf(one), 1);
    this.#free(lane.tenant, 1);
  }

  #giveUp({ tenant, queue }: Lane, error: EmissaryError): void {
    this.#free(tenant, queue.length);
    for (const { reject } of queue.splice(0)) reject(error);
  }

  #free(tenant: TenantId, places: number): void {
    const left = (this.#waiting.get(tenant) ?? 0) - places;
    if (left > 0) this.#waiting.set(tenant, left);
    else this.#waiting.delete(tenant);
  }

  #tooMuch(lane: Lane, what: string): EmissaryError {
    const retryAfter = Math.max(UNNAMED_PAUSE_MS, lane.notBefore - this.#clock.now());
    return new EmissaryError("limited", `The homeserver limits Emissary's requests, and ${what}; try again later.`, {
      reason: "homeserver",
      retryAfter,
    });
  }
}

/** Returns the pause that the homeserver asks for, in the body (older) or header (spec, "Rate limiting"). */
function pauseOf({ headers, body }: WholeAnswer): number {
  const inBody = parsedObject(body)["retry_after_ms"];
  const seconds = Number(headers["retry-after"] ?? Number.NaN);
  const named = typeof inBody === "number" ? inBody : seconds * 1000;
  return Number.isFinite(named) ? Math.max(SHORTEST_PAUSE_MS, named) : UNNAMED_PAUSE_MS;
}
