import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Screen, Screening } from "../platform/http/upstream.ts";

/** Others have their turn after so many bytes. */
const TURN = 64 * 1024;

/** An answer as it is after a screen: the same where it has nothing to change. It goes piece by piece, however large it is. */
export function screened(body: Buffer | Readable, screen: Screen): Buffer | Readable {
  if (Buffer.isBuffer(body) && !screen.mayChange(body)) return body;
  const screening = screen.begin();
  if (!Buffer.isBuffer(body))
    return Readable.from(through(body as AsyncIterable<Buffer>, screening), { objectMode: false });
  if (body.length > TURN) return Readable.from(through(turns(body), screening), { objectMode: false });
  return Buffer.concat([screening.push(body), screening.end()]);
}

async function* through(body: AsyncIterable<Buffer>, screening: Screening): AsyncGenerator<Uint8Array> {
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

async function* turns(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += TURN) {
    if (at > 0) await setImmediate();
    yield body.subarray(at, at + TURN);
  }
}
