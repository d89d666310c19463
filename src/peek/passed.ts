import { tokenOf } from "../http/bearer.ts";
import { readBody } from "../http/body.ts";
import { CLIENT_EVERY } from "../http/client-paths.ts";
import { param, queryAll } from "../http/server.ts";
import { upstreamRequest } from "../http/upstream.ts";
import { EmissaryError } from "../model/errors.ts";
import { objectAt, parsedObject } from "../model/json.ts";
import { withoutOurTokens } from "./msc2753/token.ts";
import type { PeekHandler, PeekRow } from "./peek.ts";

const SLIDING_BYTES = 1024 * 1024;
const VERSIONS_BYTES = 256 * 1024;

const pass: PeekHandler = (parts, request, reply) => parts.upstream.asCaller(upstreamRequest(request), reply);

/** Returns whose devices changed between two `/sync` tokens, which may be ours if the device peeks (MSC2753). */
const keyChanges: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request, withoutOurTokens(request.raw.url ?? "/")), reply);

/** Passes the new list on and drops the cached one, so the user gets nothing more of those people. */
const ignore: PeekHandler = async (parts, request, reply) => {
  try {
    return await pass(parts, request, reply);
  } finally {
    // Also without an answer: the homeserver may have written it.
    parts.checks.doubtUser(param(request, "userId"));
  }
};

/**
 * Passes members' receipts; drops all others and answers `{}`. A receipt tells the whole room who reads. Asks each
 * time whether the user is a member: a user who left a minute ago must not be seen reading.
 */
const receipt: PeekHandler = async (parts, request, reply) => {
  const token = tokenOf(request);
  if (token === null) return pass(parts, request, reply);
  // An appservice may use this path for any of its users (spec, AS API, "Identity assertion").
  const [as, ...more] = queryAll(request, "user_id");
  if (more.length > 0) throw new EmissaryError("bad-parameter", "The request names more than one user_id.");
  const { users } = parts;
  const identity = await users.identify(token, as);
  // The homeserver refuses an invalid token.
  const isPassed = identity === null || (await users.isMember(token, param(request, "roomId"), identity.userId, as));
  return isPassed ? pass(parts, request, reply) : {};
};

const slidingSync: PeekHandler = async ({ upstream, sliding }, request, reply) => {
  const token = tokenOf(request);
  if (token === null) return upstream.asCaller(upstreamRequest(request), reply);
  const body = await readBody(request, SLIDING_BYTES);
  const asked = { ...upstreamRequest(request), body };
  return sliding.sync({ upstream, token, request: asked, body: parsedObject(body), reply });
};

/** Adds MSC2753 to the features that the homeserver announces. Clients check them before they peek. */
const versions: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request), reply, {
    limit: VERSIONS_BYTES,
    revise: (body) => {
      const told = parsedObject(body);
      const features = { ...objectAt(told, "unstable_features"), "org.matrix.msc2753": true };
      return Buffer.from(JSON.stringify({ ...told, unstable_features: features }));
    },
  });

export const receiptRows: readonly PeekRow[] = [
  [
    "POST",
    "/rooms/:roomId/receipt/:receiptType/:eventId",
    CLIENT_EVERY,
    "a member's is passed; any other's goes nowhere, and is answered `{}`",
    receipt,
  ],
  ["POST", "/rooms/:roomId/read_markers", CLIENT_EVERY, "the same", receipt],
];

/** Requests that are passed on, mostly only to mask their answers. */
export const passedRows: readonly PeekRow[] = [
  [
    "POST",
    "/org.matrix.simplified_msc3575/sync",
    ["/_matrix/client/unstable"],
    "passed: simplified sliding sync (MSC4186); with subscribed rooms that the user is not in",
    slidingSync,
  ],
  [
    "PUT",
    "/user/:userId/account_data/m.ignored_user_list",
    CLIENT_EVERY,
    "passed: whom the user ignores counts at once for peeked rooms",
    ignore,
  ],
  ["GET", "/initialSync", CLIENT_EVERY, "passed: all rooms of the user, as clients began before `/sync`", pass],
  ["GET", "/keys/changes", CLIENT_EVERY, "passed: whose devices changed", keyChanges],
  ["POST", "/search", CLIENT_EVERY, "passed: messages in the user's rooms", pass],
  ["POST", "/user_directory/search", CLIENT_EVERY, "passed: users that are found", pass],
  ["GET", "/versions", ["/_matrix/client"], "passed, and peeking is announced", versions],
];
