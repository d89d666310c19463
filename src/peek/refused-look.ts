import type { FastifyReply } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { MATRIX_ERRORS, matrixErrorBody } from "../http/matrix-errors.ts";

/** From here on a status says "not now". */
const NOT_NOW = 429;

/**
 * Answers a look that comes to nothing. Clients know one answer to that, and offer to join: on any other (429, 502, 504) Element shows
 * "Loading…" for ever (element-web, RoomView: `M_FORBIDDEN`, `M_GUEST_ACCESS_FORBIDDEN`). Our own code, the reason in words and when to
 * ask again stand in the body.
 * @throws what was thrown, where the status that it has is understood
 */
export function refuseLook(error: unknown, reply: FastifyReply): FastifyReply {
  if (!(error instanceof EmissaryError) || !isNotNow(error)) throw error;
  return reply.code(403).send({ ...matrixErrorBody(error, "strangers"), errcode: "M_FORBIDDEN" });
}

/** What goes wrong inside us is a fault and no refusal. */
function isNotNow({ code }: EmissaryError): boolean {
  return code !== "internal" && code !== "bad-config" && MATRIX_ERRORS[code][0] >= NOT_NOW;
}
