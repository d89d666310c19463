import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../model/clock.ts";

/** The body that is too slow: the caller's, which it did not send, or ours, which it did not take. */
export type Direction = "sent" | "taken";

/**
 * Fewest bytes that must move in a window. Any line in use is faster; a caller that only occupies a place is slower.
 */
export const LEAST_BYTES = 64 * 1024;
/** Interval of the checks in milliseconds, and checks per window. */
const LOOK_MS = 5_000;
const LOOKS = 6;

interface Watched {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Kept here, since a finished request may have lost it. */
  readonly socket: Socket;
  readonly sent: Progress;
  readonly taken: Progress;
}

/** Bytes of one direction when its window began, and the number of checks since. */
interface Progress {
  from: number;
  looks: number;
}

/**
 * Cuts off callers that send or take a body too slowly. Only the caller's delays count: not a full buffer that waits
 * for us, nor an answer that waits for the homeserver, so a long poll may be silent.
 */
export class SlowBodies {
  readonly #clock: Clock;
  readonly #cut: (direction: Direction) => void;
  readonly #watched = new Set<Watched>();
  readonly #end = new AbortController();
  #isLooking = false;

  /** @param cut called for each connection that is cut off */
  constructor(clock: Clock, cut: (direction: Direction) => void = () => {}) {
    this.#clock = clock;
    this.#cut = cut;
  }

  watch(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const watched: Watched = {
      request,
      response,
      socket,
      sent: { from: socket.bytesRead, looks: 0 },
      taken: { from: takenBy(socket), looks: 0 },
    };
    this.#watched.add(watched);
    // The rest of a body that was answered early may still arrive.
    response.once("close", () => {
      if (request.complete || socket.destroyed) this.#watched.delete(watched);
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
    while (this.#watched.size > 0 && !signal.aborted) {
      await this.#clock.sleep(LOOK_MS, signal);
      for (const watched of this.#watched) this.#judge(watched);
    }
    this.#isLooking = false;
  }

  #judge(watched: Watched): void {
    const { request, response, socket, sent, taken } = watched;
    if (response.closed && (request.complete || socket.destroyed)) {
      this.#watched.delete(watched);
      return;
    }
    const isOurs = request.complete || request.readableLength >= request.readableHighWaterMark;
    const isAllTaken = socket.writableLength === 0 && response.writableLength === 0;
    const direction: Direction | null = isStill(sent, socket.bytesRead, isOurs)
      ? "sent"
      : isStill(taken, takenBy(socket), isAllTaken)
        ? "taken"
        : null;
    if (direction === null) return;
    this.#cut(direction);
    socket.destroy();
  }
}

function isStill(progress: Progress, now: number, isExcused: boolean): boolean {
  if (isExcused || now - progress.from >= LEAST_BYTES) {
    progress.from = now;
    progress.looks = 0;
    return false;
  }
  progress.looks += 1;
  return progress.looks >= LOOKS;
}

/** Bytes that left for the caller: written ones without those in our buffers. */
function takenBy(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}
