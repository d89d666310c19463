import type { JsonObject } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** Reads state, account data or the like; null if there is none. `doing` completes "The homeserver refuses to …". */
export async function contentAt(
  client: HomeserverClient,
  path: string,
  doing: string,
  abort: AbortSignal,
): Promise<JsonObject | null> {
  const answer = await client.call("GET", path, { abort });
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw failureOf(answer, doing);
  return answer.body;
}

/** Writes it. @throws EmissaryError if the homeserver does not accept it */
export async function putContent(
  client: HomeserverClient,
  path: string,
  body: JsonObject,
  doing: string,
  abort: AbortSignal,
): Promise<void> {
  const answer = await client.call("PUT", path, { abort, body });
  if (answer.status !== 200) throw failureOf(answer, doing);
}
