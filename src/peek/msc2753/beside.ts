import type { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Revision, UpstreamRequest } from "../../http/upstream.ts";
import type { Clock } from "../../model/clock.ts";
import { tokenHash } from "../../model/token-hash.ts";
import { OVER, Span } from "../../concurrency/over.ts";
import type { PeekUpstream } from "../upstream.ts";
import type { PeekView } from "./view.ts";
import type { Waits } from "./waits.ts";

/** How long the token of a kept wait needs no check before there is an answer, in milliseconds. */
const PROVEN_MS = 5_000;

/** A client's poll of the homeserver. */
export interface SyncRequest {
  readonly upstream: PeekUpstream;
  readonly token: string;
  readonly request: UpstreamRequest;
  readonly reply: FastifyReply;
}

/** A client's poll, answered with the homeserver's answer and a view's news. */
export interface BesidePoll extends SyncRequest {
  /** The query parameter with the client's position, and the homeserver's own position. */
  readonly position: readonly [key: "since" | "pos", since: string | null];
  readonly revision: Revision;
  /** Null if every answer must have the homeserver's part. */
  readonly apart?: Apart | null;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
  readonly gone: AbortController;
}

/** How to answer a poll if only the view has news: without the homeserver's part, whose wait continues. */
export interface Apart {
  readonly waits: Waits;
  /** Whether the homeserver accepted the token recently. */
  readonly isProven: () => boolean;
  /** Whether the homeserver accepts the token now. @throws EmissaryError if it cannot be asked */
  readonly isKnown: () => Promise<boolean>;
  /** Called when the homeserver has news for the device, before it is read. */
  readonly heard: () => void;
  /** Returns the answer; null if the homeserver's part is due. @param asked when the homeserver was asked for it */
  readonly alone: (asked: number) => Promise<Buffer | null>;
}

/** Answers as soon as either has news. @throws EmissaryError if the homeserver gives no answer */
export async function answerBeside(view: PeekView, poll: BesidePoll): Promise<void> {
  const { upstream, reply, request, position, apart = null, stopping, gone } = poll;
  const waiting = toHomeserver(request, position);
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
      if (await answeredApart({ ...poll, request: waiting, revision }, apart, until.signal)) return;
    } else if (!view.isNews && (await upstream.asCallerUntil(heard.signal, waiting, reply, revision))) return;
    // Asks the homeserver again, without waiting. Nothing is lost: its token was not used up.
    await upstream.asCaller(toHomeserver(request, position, 0), reply, revision);
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

/** Answers with the homeserver's news, or the view's once the signal aborts. Returns false if neither may be sent. */
async function answeredApart(
  { upstream, token, request, reply, revision, clock }: BesidePoll,
  { waits, isProven, isKnown, heard, alone }: Apart,
  until: AbortSignal,
): Promise<boolean> {
  const wait = waits.take(`${tokenHash(token)} ${request.path}`, async (abort) => {
    const answer = await upstream.open(request, abort);
    heard();
    return answer;
  });
  let isOver = true;
  try {
    const isLate = wait.leftAt !== null && clock.now() - wait.leftAt >= PROVEN_MS && !isProven();
    if (isLate && !(await isKnown())) return false;
    const answer = await Promise.race([wait.answer, aborted(until)]);
    if (answer === null) {
      const told = await alone(wait.askedAt);
      if (told === null) return false;
      waits.leave(wait);
      isOver = false;
      await upstream.given(told, reply);
      return true;
    }
    // An earlier request asked for it, and the token may have been logged out since.
    if (wait.leftAt !== null && !isLate && !(await isKnown())) return false;
    isOver = false;
    await answer.give(reply, revision);
    return true;
  } finally {
    if (isOver) waits.end(wait);
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}

export function queryOf(path: string): URLSearchParams {
  return new URLSearchParams(path.split("?").slice(1).join("?"));
}

/** Returns the request with the homeserver's own position, and optionally another timeout. */
export function toHomeserver(
  request: UpstreamRequest,
  [key, since]: BesidePoll["position"],
  timeout: number | null = null,
): UpstreamRequest {
  const query = queryOf(request.path);
  if (since === null) query.delete(key);
  else query.set(key, since);
  if (timeout !== null) query.set("timeout", String(timeout));
  const [path = ""] = request.path.split("?", 1);
  return { ...request, path: query.size === 0 ? path : `${path}?${query.toString()}` };
}
