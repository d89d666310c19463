import type { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Revision, Upstream, UpstreamRequest } from "../../http/upstream.ts";
import type { Clock } from "../../model/clock.ts";
import { answeredApart, type Apart } from "./apart.ts";
import type { PeekView } from "./view.ts";
import { OVER, Span } from "../../concurrency/over.ts";

/** A client's poll, answered with the homeserver's answer and a view's news. */
export interface BesidePoll {
  readonly upstream: Upstream;
  readonly reply: FastifyReply;
  /** The request to the homeserver, with and without waiting for news. */
  readonly waiting: UpstreamRequest;
  readonly atOnce: UpstreamRequest;
  readonly revision: Revision;
  /** Null if every answer must have the homeserver's part. */
  readonly apart?: Apart | null;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
  readonly gone: AbortController;
}

/** Answers as soon as either has news. @throws EmissaryError if the homeserver gives no answer */
export async function answerBeside(view: PeekView, poll: BesidePoll): Promise<void> {
  const { upstream, reply, waiting, atOnce, apart = null, clock, stopping, gone } = poll;
  await view.look();
  const over = new Span(stopping);
  const heard = new AbortController();
  const until = new Span(heard.signal, gone.signal);
  const watching = view.isNews ? Promise.resolve() : watch(view, over.signal, heard);
  // If the homeserver's answer fails, nobody waits for this.
  watching.catch(() => undefined);
  const revision = {
    ...poll.revision,
    revise: async (body: Buffer): Promise<Buffer | Readable | null> => {
      over.end();
      await watching;
      return poll.revision.revise(body);
    },
  };
  try {
    if (apart !== null) {
      if (view.isNews) heard.abort(OVER);
      if (await answeredApart({ upstream, reply, waiting, revision, clock }, apart, until.signal)) return;
    } else if (!view.isNews && (await upstream.asCallerUntil(heard.signal, waiting, reply, revision))) return;
    // Asks the homeserver again, without waiting. Nothing is lost: its token was not used up.
    await upstream.asCaller(atOnce, reply, revision);
  } finally {
    over.end();
    until.end();
    // A stopped watch looks once more, but not if the client is gone.
    if (!reply.sent) gone.abort(OVER);
  }
}

async function watch(view: PeekView, until: AbortSignal, heard: AbortController): Promise<void> {
  await view.watch(until);
  if (view.isNews) heard.abort(OVER);
}

export function queryOf(path: string): URLSearchParams {
  const at = path.indexOf("?");
  return new URLSearchParams(at === -1 ? "" : path.slice(at + 1));
}

/** Returns the request with the homeserver's own position, and optionally another timeout. */
export function toHomeserver(
  request: UpstreamRequest,
  [key, since]: readonly [key: string, since: string | null],
  timeout: number | null,
): UpstreamRequest {
  const query = queryOf(request.path);
  if (since === null) query.delete(key);
  else query.set(key, since);
  if (timeout !== null) query.set("timeout", String(timeout));
  const [path = ""] = request.path.split("?", 1);
  return { ...request, path: query.size === 0 ? path : `${path}?${query.toString()}` };
}
