import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { Asker } from "../model/asker.ts";
import { OVER } from "../concurrency/over.ts";

const names = new WeakMap<ServerResponse, string>();
const gone = new WeakMap<ServerResponse, AbortSignal>();

/** Notes whose request a reply answers: by this name the caller's share of what is scarce is counted. */
export function nameCaller({ raw }: FastifyReply, name: string): void {
  names.set(raw, name);
}

/** Aborts when the answer is over: all of it was taken, or the caller went away. */
export function goneOf({ raw }: FastifyReply): AbortSignal {
  const known = gone.get(raw);
  if (known !== undefined) return known;
  const over = new AbortController();
  if (raw.destroyed) over.abort(OVER);
  else raw.once("close", () => over.abort(OVER));
  gone.set(raw, over.signal);
  return over.signal;
}

/** Who asks, and until when. One that nobody named is a stranger. */
export function askerOf(reply: FastifyReply): Asker {
  return { name: names.get(reply.raw) ?? "stranger", abort: goneOf(reply) };
}
