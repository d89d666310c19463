import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { queryAll } from "../../platform/http/server.ts";

/** The `limit` of a list, at most `most`, which is also what it is without one. */
export function pageLimit(request: FastifyRequest, most: number): number {
  const text = queryAll(request, "limit")[0];
  if (text === undefined) return most;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1)
    throw new EmissaryError("bad-parameter", "`limit` is to be a whole number from 1.");
  return Math.min(limit, most);
}

/** The row number that a list of rows ends before; null for the newest. */
export function pageBefore(request: FastifyRequest): number | null {
  const text = queryAll(request, "before")[0];
  if (text === undefined) return null;
  const before = Number(text);
  if (!Number.isSafeInteger(before) || before < 0) {
    throw new EmissaryError("bad-parameter", "`before` is to be the number of a row.");
  }
  return before;
}
