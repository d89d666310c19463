import { EmissaryError } from "../../../model/errors.ts";
import { localpartOf } from "../../../model/ids.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readBody } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { answered, passed, refused, type ActHandler, type Caller, type Endpoint } from "../act.ts";
import { JSON_HEADERS, NONE, pathOf } from "../pass.ts";

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
  return async ({ parts, tenant, user, request, reply }) => {
    const userId = param(request, "userId");
    if (userId !== user) {
      throw new EmissaryError(
        "forbidden",
        `Account data belong to one user: the request is made as ${user}, but names ${JSON.stringify(userId)}. Give that as user_id.`,
      );
    }
    const { roomId } = request.params as { readonly roomId?: string };
    if (roomId !== undefined) roomIdFrom(roomId);
    const type = typeAt({ tenant, user }, param(request, "type"));
    const path = pathOf(request, NONE, { userId: parts.own, type });
    const body = method === "GET" ? null : await readBody(request, BODY_LIMIT);
    return parts.upstream.asPseudouser({ method, path, headers: body === null ? {} : JSON_HEADERS, body }, reply);
  };
}

const METHODS = ["GET", "PUT"] as const;

/** What a user stores for itself. */
export const accountDataEndpoints: readonly Endpoint[] = [
  ...METHODS.map((method) =>
    passed(
      `${method} /user/:userId/account_data/:type`,
      "the user's own, kept apart from other tenants'",
      accountData(method),
    ),
  ),
  ...METHODS.map((method) =>
    passed(
      `${method} /user/:userId/rooms/:roomId/account_data/:type`,
      "the same, for a room, in it or not",
      accountData(method),
    ),
  ),
  answered("GET /user/:userId/rooms/:roomId/tags", "none", async () => ({ tags: {} })),
  ...refused("a tenant's users sort no rooms", [
    "PUT /user/:userId/rooms/:roomId/tags/:tag",
    "DELETE /user/:userId/rooms/:roomId/tags/:tag",
  ]),
];
