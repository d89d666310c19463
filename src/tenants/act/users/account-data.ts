import { EmissaryError } from "../../../model/errors.ts";
import { localpartOf } from "../../../model/ids.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readBody } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import type { Caller } from "../caller.ts";
import { refused } from "../refused.ts";
import { NONE, pathOf } from "../path.ts";

const BODY_LIMIT = 64 * 1024;

/**
 * Returns the type of a tenant's user's data in the pseudouser's account data. Tenant IDs and localparts have no
 * colon, so no two users share a type. Room account data need no right to the room and reveal nothing of it: bridges
 * note the room that they are about to enter, and read the note when they are out.
 */
export function typeAt({ tenant, user }: Caller, type: string): string {
  return `org.matrix.msc1777.tenant:${tenant.id}:${localpartOf(user)}:${type}`;
}

function accountData(method: "GET" | "PUT"): ActHandler {
  return async (parts, caller, request, reply) => {
    requireSelf(caller, param(request, "userId"));
    const { roomId } = request.params as { readonly roomId?: string };
    if (roomId !== undefined) roomIdFrom(roomId);
    const path = pathAtHomeserver(parts, caller, param(request, "type"), request);
    const body = method === "GET" ? null : await readBody(request, BODY_LIMIT);
    const headers = body === null ? {} : { "content-type": "application/json" };
    return parts.upstream.asPseudouser({ method, path, headers, body }, reply);
  };
}

function pathAtHomeserver({ own }: ActParts, caller: Caller, type: string, request: Parameters<ActHandler>[2]): string {
  return pathOf(request, NONE, { userId: own, type: typeAt(caller, type) });
}

function requireSelf({ user }: Caller, userId: string): void {
  if (userId === user) return;
  throw new EmissaryError(
    "forbidden",
    `Account data are one's own: the request is made as ${user}, and names ${JSON.stringify(userId)}. Give that as user_id.`,
  );
}

/** What a user stores for itself. */
export const accountDataEndpoints: readonly Endpoint[] = [
  ...(["GET", "PUT"] as const).map((method): Endpoint => ({
    method,
    path: "/user/:userId/account_data/:type",
    how: "passed",
    note: "the user's own, kept apart from other tenants'",
    handler: accountData(method),
  })),
  ...(["GET", "PUT"] as const).map((method): Endpoint => ({
    method,
    path: "/user/:userId/rooms/:roomId/account_data/:type",
    how: "passed",
    note: "the same, for a room, in it or not",
    handler: accountData(method),
  })),
  {
    method: "GET",
    path: "/user/:userId/rooms/:roomId/tags",
    how: "answered",
    note: "none",
    handler: async () => ({ tags: {} }),
  },
  ...refused({
    endpoints: ["PUT /user/:userId/rooms/:roomId/tags/:tag", "DELETE /user/:userId/rooms/:roomId/tags/:tag"],
    why: "a tenant's users sort no rooms",
  }),
];
