import { Readable } from "node:stream";

const PIECE = 64 * 1024;
/** Below this an answer goes out at once. */
const LARGE = 256 * 1024;

/** Whether an answer is better sent in pieces. */
export function isLarge(payload: unknown): payload is Buffer | string {
  return (Buffer.isBuffer(payload) || typeof payload === "string") && payload.length > LARGE;
}

/** A large answer as a stream of small pieces, so that it can be seen how fast it is taken. */
export function inPieces(payload: Buffer): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: PIECE,
    read() {
      if (at >= payload.length) this.push(null);
      else this.push(payload.subarray(at, (at += PIECE)));
    },
  });
}
