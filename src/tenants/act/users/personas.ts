import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, serverOf, type UserId } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";
import type { Tenant } from "../../../model/tenant.ts";
import { readJson } from "../../../http/body.ts";
import { param, queryAll } from "../../../http/server.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { requirePersona } from "../caller.ts";
import { NONE, pathOf } from "../path.ts";

export const SMALL_BODY_LIMIT = 16 * 1024;
const APPSERVICE = "m.login.application_service";

/**
 * Registers a user as Synapse does for appservices (spec, AS API, "Server admin style permissions"), but always
 * without access token and device: callers act as a persona with the tenant's token and `user_id`.
 */
const register: ActHandler = async (parts, { tenant }, request) => {
  const body = await readJson(request, SMALL_BODY_LIMIT);
  const kinds = queryAll(request, "kind");
  if (kinds.some((kind) => kind !== "user") || stringAt(body, "type") !== APPSERVICE) {
    throw new EmissaryError("forbidden", `Tenants register their own users only: the type is to be ${APPSERVICE}.`);
  }
  const userId = registrable(parts, tenant, nameIn(body));
  if (!(await parts.personas.register(tenant.id, userId))) throw inUse(userId);
  return { user_id: userId, home_server: serverOf(userId) };
};

const available: ActHandler = async (parts, { tenant }, request) => {
  const userId = registrable(parts, tenant, usernameAsked(request));
  if (await parts.personas.isKnown(tenant.id, userId)) throw inUse(userId);
  return { available: true };
};

/** The specification has `username`, older appservices `user`. */
function nameIn(body: JsonObject): string {
  const name = stringAt(body, "user") ?? stringAt(body, "username");
  if (name === null || name === "") {
    throw new EmissaryError("bad-request", "The user to register is missing: `username` is to be its localpart.");
  }
  return name;
}

function usernameAsked(request: FastifyRequest): string {
  const [name, ...more] = queryAll(request, "username");
  if (name === undefined || name === "" || more.length > 0) {
    throw new EmissaryError("bad-parameter", "One username is to be asked about.");
  }
  return name;
}

/** @param name a localpart or a whole user ID */
function registrable(parts: ActParts, tenant: Tenant, name: string): UserId {
  const userId = name.startsWith("@") ? name : `@${name}:${serverOf(parts.own)}`;
  if (isUserId(userId) && parts.tenants.isPersona(tenant, userId)) return userId;
  throw new EmissaryError(
    "not-in-namespace",
    `${JSON.stringify(userId)} is neither ${tenant.sender} nor of the namespace of tenant ${tenant.id} (${tenant.users ?? "it has none"}).`,
  );
}

function inUse(userId: UserId): EmissaryError {
  return new EmissaryError("user-in-use", `${userId} is registered already.`);
}

/** Nobody outside knows personas, so their presence is dropped. */
const setPresence: ActHandler = async (parts, { tenant }, request) => {
  requirePersona(parts.tenants, tenant, param(request, "userId"));
  await readJson(request, SMALL_BODY_LIMIT);
  return {};
};

const presence: ActHandler = async (parts, { tenant }, request, reply) => {
  const userId = param(request, "userId");
  if (isUserId(userId) && parts.tenants.isPersona(tenant, userId)) return { presence: "offline" };
  return parts.upstream.asPseudouser(
    { method: "GET", path: pathOf(request, NONE), headers: request.headers, body: null },
    reply,
  );
};

/** Registers a tenant's users. None has an account at the homeserver. */
export const personaEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/register",
    how: "answered",
    note: "a user of the tenant's, with `m.login.application_service`; no access token is made",
    handler: register,
  },
  {
    method: "GET",
    path: "/register/available",
    how: "answered",
    note: "whether a user of the tenant's is still to be registered",
    handler: available,
  },
  {
    method: "GET",
    path: "/presence/:userId/status",
    how: "passed",
    note: "of the tenant's users: always offline; of others, the homeserver's answer",
    handler: presence,
  },
  {
    method: "PUT",
    path: "/presence/:userId/status",
    how: "answered",
    note: "of the tenant's users; changes nothing",
    handler: setPresence,
  },
];
