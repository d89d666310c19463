import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { EmissaryError, sentenceOf } from "../model/errors.ts";
import { sourced } from "../model/json-text.ts";
import { isJsonObject, isTextDeeperThan, MAX_NESTING, type JsonObject } from "../model/json.ts";

export async function readBody(request: FastifyRequest, limit: number): Promise<Buffer> {
  const body = (request.body ?? Buffer.alloc(0)) as Readable | Buffer;
  if (Buffer.isBuffer(body)) {
    if (body.length > limit) throw tooLarge(limit);
    return body;
  }
  // The stream's events cost a fraction of its async iterator: every write of a tenant passes here.
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    body.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      // The rest is dropped as it arrives: the answer goes out over the same connection.
      else reject(tooLarge(limit));
    });
    body.on("end", () => resolve(Buffer.concat(chunks, size)));
    body.on("error", reject);
  });
}

/** Reads the body as a JSON object with its text. @throws EmissaryError `too-large`, `not-json`, `bad-request` */
export async function readJson(request: FastifyRequest, limit: number): Promise<JsonObject> {
  const raw = await readBody(request, limit);
  if (raw.length === 0) return {};
  const text = raw.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EmissaryError("not-json", `The body is not JSON: ${sentenceOf(error)}.`);
  }
  if (isTextDeeperThan(MAX_NESTING, raw)) {
    throw new EmissaryError("bad-request", `The body is nested more than ${MAX_NESTING} deep.`);
  }
  if (!isJsonObject(value)) throw new EmissaryError("bad-request", "The body is not a JSON object.");
  return sourced(value, text);
}

function tooLarge(limit: number): EmissaryError {
  return new EmissaryError("too-large", `The body is larger than the ${limit} bytes that are accepted here.`);
}
