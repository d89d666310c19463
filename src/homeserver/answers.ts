import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Dispatcher } from "undici";
import type { Hold } from "../concurrency/bytes-held.ts";
import { EmissaryError } from "../model/errors.ts";
import type { Screen, WholeAnswer } from "../http/upstream.ts";
import { tooLarge, unreachable } from "./client.ts";

/** Requests a small answer. Takes its bytes as they arrive: the stream of undici's `request` would double the cost. */
export function gathered(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  limit: number,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let [size, status, headers]: [number, number, IncomingHttpHeaders] = [0, 0, {}];
    dispatcher.dispatch(options, {
      onRequestStart: () => {},
      // Called for interim responses such as 103, too; the last call is for the answer.
      onResponseStart: (_controller, newStatus, newHeaders) => {
        status = newStatus;
        headers = newHeaders;
      },
      onResponseData: (controller, chunk) => {
        size += chunk.length;
        if (size > limit) controller.abort(tooLarge(limit));
        else chunks.push(chunk);
      },
      onResponseEnd: () => {
        const [first] = chunks;
        const body = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, size);
        resolve({ status, headers, body });
      },
      onResponseError: (_controller, error) => reject(error instanceof EmissaryError ? error : unreachable(error)),
    });
  });
}

/** Reads an answer step by step. Unlike `for await`, this does not end the stream when the reader stops. */
export function piecesOf({ body }: Dispatcher.ResponseData): AsyncIterator<Buffer> {
  return (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
}

/** Returns the next piece; null at the end. @throws EmissaryError `homeserver-unreachable` if the answer breaks off */
export async function nextOf(pieces: AsyncIterator<Buffer>): Promise<Buffer | null> {
  const next = await pieces.next().catch((error: unknown) => {
    throw unreachable(error);
  });
  return next.done === true ? null : next.value;
}

export function drop({ body }: Dispatcher.ResponseData): void {
  body.on("error", () => undefined).destroy();
}

/** Reads the body up to `limit`. `whole` is the whole body if it ended there; `body` is what to send on. */
export async function readUpTo(
  response: Dispatcher.ResponseData,
  limit: number,
  hold: Hold,
): Promise<{ readonly whole: Buffer | null; readonly body: Buffer | Readable }> {
  const pieces = piecesOf(response);
  const chunks: Buffer[] = [];
  let size = 0;
  while (size <= limit) {
    const piece = await nextOf(pieces);
    if (piece === null) {
      const whole = Buffer.concat(chunks, size);
      return { whole, body: whole };
    }
    await hold.add(piece.length);
    chunks.push(piece);
    size += piece.length;
  }
  return { whole: null, body: Readable.from(joined(chunks, pieces), { objectMode: false }) };
}

async function* joined(head: Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (let chunk = head.shift(); chunk !== undefined; chunk = head.shift()) yield chunk;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** Yields to other work after this many bytes. */
const TURN = 64 * 1024;

/** Passes an answer through a screen, piece by piece. Returns the same answer if there is nothing to change. */
export function screened(body: Buffer | Readable, screen: Screen): Buffer | Readable {
  const isWhole = Buffer.isBuffer(body);
  if (isWhole && !screen.mayChange(body)) return body;
  if (!isWhole || body.length > TURN) return Readable.from(screenedPieces(body, screen), { objectMode: false });
  const screening = screen.begin();
  return Buffer.concat([screening.push(body), screening.end()]);
}

async function* screenedPieces(body: Buffer | Readable, screen: Screen): AsyncGenerator<Uint8Array> {
  const screening = screen.begin();
  for await (const piece of Buffer.isBuffer(body) ? [body] : (body as AsyncIterable<Buffer>)) {
    for (let at = 0; at < piece.length; at += TURN) {
      if (at > 0) await setImmediate();
      const left = screening.push(piece.subarray(at, at + TURN));
      if (left.length > 0) yield left;
    }
  }
  const rest = screening.end();
  if (rest.length > 0) yield rest;
}
