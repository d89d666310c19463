import { Readable } from "node:stream";

const PIECE = 64 * 1024;
/** Smaller answers go out at once. */
const LARGE = 256 * 1024;

export function isLarge(payload: unknown): payload is Buffer | string {
  return (Buffer.isBuffer(payload) || typeof payload === "string") && payload.length > LARGE;
}

/** Streams a large answer in small pieces, which shows how fast the caller takes it. */
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
