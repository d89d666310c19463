import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import { answerOf, readWhole, type Answer, type CallOptions, type HomeserverClient } from "../../homeserver/client.ts";
import type { RoomId } from "../../model/ids.ts";
import { parsedObject } from "../../model/json.ts";

export const CLIENT = "/_matrix/client/v3";

export interface HeldReads {
  readonly client: HomeserverClient;
  readonly held: BytesHeld;
}

export interface HeldRead extends CallOptions {
  readonly abort: AbortSignal;
  /** Whose share of the memory it takes. */
  readonly who: RoomId | string;
  /** Most bytes of the answer. */
  readonly limit: number;
  /** Whether the memory stays reserved until the abort, for an answer that is made of this one. */
  readonly isKept?: boolean;
}

/** Reads a large answer whole. @throws EmissaryError if it breaks off or is too large, or if there is no memory */
export async function heldAnswer(
  { client, held }: HeldReads,
  path: string,
  { who, limit, isKept = false, ...options }: HeldRead,
): Promise<Answer & { readonly bytes: number }> {
  const response = await client.open("GET", path, options);
  if (response.statusCode !== 200) return { ...(await answerOf(response)), bytes: 0 };
  const hold = held.open(who, options.abort, null);
  let isOver = true;
  try {
    const whole = await readWhole(response, limit, hold);
    isOver = !isKept;
    return {
      status: 200,
      body: parsedObject(whole),
      errcode: null,
      error: null,
      retryAfter: null,
      bytes: whole.length,
    };
  } finally {
    if (isOver) hold.free();
  }
}
