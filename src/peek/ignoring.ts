import { CLIENT_V3 } from "../http/client-paths.ts";
import { param } from "../http/server.ts";
import { upstreamRequest } from "../http/upstream.ts";
import type { PeekEndpoint, PeekHandler } from "./peek.ts";

/** Passes the new list on and drops the cached one, so the user is told nothing more of those people. */
const ignore: PeekHandler = async (parts, request, reply) => {
  try {
    return await parts.upstream.asCaller(upstreamRequest(request), reply);
  } finally {
    // Also without an answer: the homeserver may have written it.
    parts.words.doubtUser(param(request, "userId"));
  }
};

export const ignoringEndpoint: PeekEndpoint = {
  method: "PUT",
  path: "/user/:userId/account_data/m.ignored_user_list",
  under: CLIENT_V3,
  note: "passed: whom the user ignores counts at once for what is told of peeked rooms",
  handler: ignore,
};
