import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { queryAll } from "../../platform/http/server.ts";

/** The `limit` of a list, at most `most`, which is also what it is without one. */
export function pageLimit(request: FastifyRequest, most: number): number {
  const text = queryAll(request, "limit")[0];
  if (text === undefined) return most;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1)
    throw new EmissaryError("bad-request", "`limit` is to be a whole number from 1.");
  return Math.min(limit, most);
}
