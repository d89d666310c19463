import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { Asker } from "../model/asker.ts";
import { OVER } from "../concurrency/over.ts";

const names = new WeakMap<ServerResponse, string>();
const gone = new WeakMap<ServerResponse, AbortSignal>();

/** Notes the caller that a reply answers. The caller's share of scarce resources is counted under this name. */
export function nameCaller({ raw }: FastifyReply, name: string): void {
  names.set(raw, name);
}

/** Returns a signal that aborts when the answer was taken whole or the caller went away. */
export function goneOf({ raw }: FastifyReply): AbortSignal {
  const known = gone.get(raw);
  if (known !== undefined) return known;
  const over = new AbortController();
  if (raw.destroyed) over.abort(OVER);
  else raw.once("close", () => over.abort(OVER));
  gone.set(raw, over.signal);
  return over.signal;
}

/** Returns the caller with its signal. A caller without a name is a stranger. */
export function askerOf(reply: FastifyReply): Asker {
  return { name: names.get(reply.raw) ?? "stranger", abort: goneOf(reply) };
}
