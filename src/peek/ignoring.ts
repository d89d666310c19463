import { CLIENT_V3 } from "../http/client-paths.ts";
import { param } from "../http/server.ts";
import { upstreamRequest } from "../http/upstream.ts";
import type { PeekEndpoint, PeekHandler } from "./peek.ts";

/** Passed on. Whoever has been told that it is written is shown nothing more of those people, whatever was known before. */
const ignore: PeekHandler = async (parts, request, reply) => {
  try {
    return await parts.upstream.asCaller(upstreamRequest(request), reply);
  } finally {
    // Also where no answer came: the homeserver may have written it.
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
