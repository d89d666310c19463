import { tokenOf } from "../../http/bearer.ts";
import { readBody } from "../../http/body.ts";
import { upstreamRequest } from "../../http/upstream.ts";
import { parsedObject } from "../../model/json.ts";
import type { PeekEndpoint } from "../peek.ts";

const BODY_LIMIT = 1024 * 1024;

export const slidingEndpoint: PeekEndpoint = {
  method: "POST",
  path: "/org.matrix.simplified_msc3575/sync",
  under: ["/_matrix/client/unstable"],
  note: "passed: simplified sliding sync (MSC4186); with subscribed rooms that the user is not in",
  handler: async ({ upstream, sliding }, request, reply) => {
    const token = tokenOf(request);
    if (token === null) return upstream.asCaller(upstreamRequest(request), reply);
    const body = await readBody(request, BODY_LIMIT);
    const asked = { ...upstreamRequest(request), body };
    return sliding.sync({ upstream, token, request: asked, body: parsedObject(body), reply });
  },
};
