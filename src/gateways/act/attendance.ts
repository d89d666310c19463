import type { FastifyReply, FastifyRequest } from "fastify";
import type { Tenant } from "../../model/tenant.ts";
import { resolveRoom, roomIdFrom } from "../../leases/target.ts";
import { param } from "../../platform/http/server.ts";
import { viaOf } from "../../platform/http/via.ts";
import type { ActParts, Endpoint } from "./act.ts";
import { holderOf } from "./caller.ts";

/** How long a join waits for the pseudouser to be in the room, milliseconds. Callers' own limits are commonly longer. */
const JOIN_WAIT_MS = 60_000;

async function join(
  parts: ActParts,
  tenant: Tenant,
  request: FastifyRequest,
  reply: FastifyReply,
  idOrAlias: string,
): Promise<unknown> {
  const { roomId, via } = await resolveRoom(idOrAlias, viaOf(request), parts.aliases);
  const lease = await parts.desk.take({ roomId, holder: holderOf(tenant), via, ttl: null });
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, gone.signal);
  return { room_id: roomId };
}

/** A tenant's being in rooms: leases, not memberships. None of this puts an event of the tenant's into any room. */
export const attendanceEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/account/whoami",
    how: "answered",
    note: "the tenant's own sender",
    handler: async (_parts, tenant) => ({ user_id: tenant.sender, is_guest: false }),
  },
  {
    method: "POST",
    path: "/join/:roomIdOrAlias",
    how: "answered",
    note: "takes a lease and waits until the pseudouser is in the room",
    handler: (parts, tenant, request, reply) => join(parts, tenant, request, reply, param(request, "roomIdOrAlias")),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/join",
    how: "answered",
    note: "the same, by ID",
    handler: (parts, tenant, request, reply) =>
      join(parts, tenant, request, reply, roomIdFrom(param(request, "roomId"))),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/leave",
    how: "answered",
    note: "releases the lease; the pseudouser leaves when the last one is gone",
    handler: async (parts, tenant, request) => {
      await parts.desk.release(roomIdFrom(param(request, "roomId")), holderOf(tenant));
      return {};
    },
  },
  {
    method: "GET",
    path: "/joined_rooms",
    how: "answered",
    note: "the rooms of the tenant's own leases",
    handler: async (parts, tenant) => ({ joined_rooms: await parts.leases.presentRoomsOf(holderOf(tenant)) }),
  },
];
