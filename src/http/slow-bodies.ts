import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../model/clock.ts";

/** Which body stood still: the caller's, which it did not send, or ours, which it did not take. */
export type Direction = "sent" | "taken";

/** So many bytes are to move in a window: slower than any line that is in use, and faster than who only keeps a place. */
export const LEAST_BYTES = 64 * 1024;
/** How often it is looked, milliseconds, and how many looks make a window. */
const LOOK_MS = 5_000;
const LOOKS = 6;

interface Watched {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Kept here: a request that is over may have been parted from it. */
  readonly socket: Socket;
  readonly sent: Progress;
  readonly taken: Progress;
}

/** How far one direction had come when its window began, and how many looks that is ago. */
interface Progress {
  from: number;
  looks: number;
}

/**
 * Cuts off whoever sends or takes a body too slowly, at both ends of an exchange: a place among the requests under way is held for as
 * long as bytes move at a fair pace. Only what is the caller's doing counts. A body waits for us where its buffer is full, and an
 * answer for the homeserver where all of it was taken that there is: a long poll may be silent.
 */
export class SlowBodies {
  readonly #clock: Clock;
  readonly #cut: (direction: Direction) => void;
  readonly #watched = new Set<Watched>();
  readonly #end = new AbortController();
  #isLooking = false;

  /** @param cut told of each connection that is cut off */
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
    // A body that was answered before its end is still to come.
    response.once("close", () => {
      if (request.complete || socket.destroyed) this.#watched.delete(watched);
    });
    if (!this.#isLooking) void this.#look();
  }

  /** Looks no more. A look that is to come would keep the process from ending. */
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

/** Bytes that left for the caller: those that were written, without those that wait in our buffers. */
function takenBy(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}
