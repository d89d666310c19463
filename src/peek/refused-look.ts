import type { FastifyReply } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { MATRIX_ERRORS, matrixErrorBody } from "../http/matrix-errors.ts";

/** This status and higher ones mean "not now". */
const NOT_NOW = 429;

/**
 * Answers a failed look with 403. Clients know that answer and offer to join; on any other (429, 502, 504) Element
 * shows "Loading…" for ever (element-web, RoomView: `M_FORBIDDEN`, `M_GUEST_ACCESS_FORBIDDEN`). The body has our own
 * code, the reason in words and when to retry.
 * @throws the error itself if clients understand its status
 */
export function refuseLook(error: unknown, reply: FastifyReply): FastifyReply {
  if (!(error instanceof EmissaryError) || !isNotNow(error)) throw error;
  return reply.code(403).send({ ...matrixErrorBody(error, "strangers"), errcode: "M_FORBIDDEN" });
}

/** An internal failure is a fault, not a refusal. */
function isNotNow({ code }: EmissaryError): boolean {
  return code !== "internal" && code !== "bad-config" && MATRIX_ERRORS[code][0] >= NOT_NOW;
}
