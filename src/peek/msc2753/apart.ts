import type { FastifyReply } from "fastify";
import type { Clock } from "../../model/clock.ts";
import type { Revision, Upstream, UpstreamRequest } from "../../http/upstream.ts";
import type { Waits } from "./waits.ts";

/** How long the token of a kept wait needs no check before there is an answer, in milliseconds. */
const PROVEN_MS = 5_000;

/** How to answer a poll if only the view has news: without the homeserver's part, whose wait continues. */
export interface Apart {
  readonly waits: Waits;
  /** Identifies the same request with the same token. */
  readonly key: string;
  /** Whether the homeserver accepted the token recently. */
  readonly isProven: () => boolean;
  /** Whether the homeserver accepts the token now. @throws EmissaryError if it cannot be asked */
  readonly isKnown: () => Promise<boolean>;
  /** Called when the homeserver has news for the device, before it is read. */
  readonly heard: () => void;
  /** Returns the answer; null if the homeserver's part is due. @param asked when the homeserver was asked for it */
  readonly alone: (asked: number) => Promise<Buffer | null>;
}

interface ApartPoll {
  readonly upstream: Upstream;
  readonly reply: FastifyReply;
  readonly waiting: UpstreamRequest;
  readonly revision: Revision;
  readonly clock: Clock;
}

/**
 * Answers with the homeserver's news as soon as there is some, or with the view's once the signal aborts. False if
 * neither may be sent.
 * @throws EmissaryError if the homeserver does not answer
 */
export async function answeredApart(poll: ApartPoll, apart: Apart, until: AbortSignal): Promise<boolean> {
  const { upstream, reply, waiting, revision, clock } = poll;
  const { waits, key, isProven, isKnown, heard, alone } = apart;
  const wait = waits.take(key, async (abort) => {
    const answer = await upstream.open(waiting, abort);
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
