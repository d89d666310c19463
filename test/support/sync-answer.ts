import type { Pieces } from "../../src/tenants/sync/packed.ts";
import { parsedObject, type JsonObject } from "../../src/model/json.ts";

/** The whole of an answer that is made piece by piece. */
export async function readPieces(pieces: Pieces): Promise<JsonObject> {
  const all: Buffer[] = [];
  for (let next = await pieces.next(); ; next = await pieces.next()) {
    all.push(next.value);
    if (next.done === true) return parsedObject(Buffer.concat(all));
  }
}
