import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../model/clock.ts";

/** The body that is too slow: the caller's, which it did not send, or ours, which it did not take. */
export type Direction = "sent" | "taken";

/** Fewest bytes that must move in a window. Any line in use is faster; a caller that only occupies a place is slower. */
export const LEAST_BYTES = 64 * 1024;
/** Interval of the checks in milliseconds, and checks per window. */
const LOOK_MS = 5_000;
const LOOKS = 6;

/**
 * Cuts off callers that send or take a body too slowly. Only the caller's delays count: not a full buffer that waits
 * for us, nor an answer that waits for the homeserver, so a long poll may be silent.
 */
export class SlowBodies {
  readonly #clock: Clock;
  readonly #cut: (direction: Direction) => void;
  readonly #checks = new Set<() => void>();
  readonly #end = new AbortController();
  #isLooking = false;

  constructor(clock: Clock, cut: (direction: Direction) => void) {
    this.#clock = clock;
    this.#cut = cut;
  }

  watch(request: IncomingMessage, response: ServerResponse): void {
    // Kept here, since a finished request may have lost it.
    const { socket } = request;
    const isSentSlowly = slowness(socket.bytesRead);
    const isTakenSlowly = slowness(takenBy(socket));
    const check = (): void => {
      // The rest of a body that was answered early may still arrive.
      if (response.closed && (request.complete || socket.destroyed)) {
        this.#checks.delete(check);
        return;
      }
      const isOurs = request.complete || request.readableLength >= request.readableHighWaterMark;
      const isAllTaken = socket.writableLength === 0 && response.writableLength === 0;
      const isSlow = isSentSlowly(socket.bytesRead, isOurs);
      if (!isSlow && !isTakenSlowly(takenBy(socket), isAllTaken)) return;
      this.#cut(isSlow ? "sent" : "taken");
      socket.destroy();
    };
    this.#checks.add(check);
    response.once("close", () => {
      if (request.complete || socket.destroyed) this.#checks.delete(check);
    });
    if (!this.#isLooking) void this.#look();
  }

  /** Stops. A pending check would keep the process alive. */
  end(): void {
    this.#end.abort();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    const { signal } = this.#end;
    while (this.#checks.size > 0 && !signal.aborted) {
      await this.#clock.sleep(LOOK_MS, signal);
      for (const check of this.#checks) check();
    }
    this.#isLooking = false;
  }
}

/** Counts checks while fewer than LEAST_BYTES move. @param from bytes that have moved in this direction so far */
function slowness(from: number): (now: number, isExcused: boolean) => boolean {
  let looks = 0;
  return (now, isExcused) => {
    const isMoving = isExcused || now - from >= LEAST_BYTES;
    if (isMoving) from = now;
    looks = isMoving ? 0 : looks + 1;
    return looks >= LOOKS;
  };
}

/** Bytes that left for the caller: written ones without those in our buffers. */
function takenBy(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}
