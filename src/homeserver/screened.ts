import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Screen, Screening } from "../http/upstream.ts";

/** Yields to other work after this many bytes. */
const TURN = 64 * 1024;

/** Passes an answer through a screen, piece by piece. Returns the same answer if there is nothing to change. */
export function screened(body: Buffer | Readable, screen: Screen): Buffer | Readable {
  if (Buffer.isBuffer(body) && !screen.mayChange(body)) return body;
  const screening = screen.begin();
  if (Buffer.isBuffer(body) && body.length <= TURN) return Buffer.concat([screening.push(body), screening.end()]);
  const pieces = Buffer.isBuffer(body) ? [body] : (body as AsyncIterable<Buffer>);
  return Readable.from(through(pieces, screening), { objectMode: false });
}

async function* through(
  body: Iterable<Buffer> | AsyncIterable<Buffer>,
  screening: Screening,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    for (let at = 0; at < piece.length; at += TURN) {
      if (at > 0) await setImmediate();
      const left = screening.push(piece.subarray(at, at + TURN));
      if (left.length > 0) yield left;
    }
  }
  const rest = screening.end();
  if (rest.length > 0) yield rest;
}
