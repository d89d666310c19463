import type { FastifyReply } from "fastify";
import type { Clock } from "../../model/clock.ts";
import type { Revision, Upstream, UpstreamRequest } from "../../http/upstream.ts";
import type { Waits } from "./waits.ts";

/** A token that counted when a wait was left is not asked about for so long, until there is an answer, milliseconds. */
const PROVEN_MS = 5_000;

/** How a poll is answered where only the view has news: without the homeserver's part, for which the wait goes on. */
export interface Apart {
  readonly waits: Waits;
  /** By what the same request of the same token is known. */
  readonly key: string;
  /** Whether the homeserver took the token lately. */
  readonly isProven: () => boolean;
  /** Whether the homeserver takes the token now. @throws EmissaryError where it cannot be asked */
  readonly isKnown: () => Promise<boolean>;
  /** Told when the homeserver has something for the device, before anything of it is read. */
  readonly heard: () => void;
  /** The answer; null where the homeserver's part is due. @param asked when the homeserver was asked for it */
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
 * Answers with what the homeserver has, as soon as it has something, or once the signal aborts with what the view has. False where neither
 * is to be told. @throws EmissaryError where the homeserver gives no answer
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
    // It was asked for with an earlier request: by now the token may be nobody's.
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
