import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, serverOf, type UserId } from "../../../model/ids.ts";
import { stringAt, type JsonObject } from "../../../model/json.ts";
import type { Profile } from "../../../model/persona.ts";
import { readJson } from "../../../http/body.ts";
import { param, queryAll } from "../../../http/server.ts";
import { requirePersona } from "../access.ts";
import { answered, passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { passOn, SMALL_BODY_LIMIT } from "../pass.ts";
import { profileJson } from "./persona-member.ts";

const APPSERVICE = "m.login.application_service";

/**
 * Registers a user as Synapse does for appservices (spec, AS API, "Server admin style permissions"), but without
 * access token and device: callers use the tenant's token and `user_id`.
 */
const register: ActHandler = async (call) => {
  const { parts, tenant, request } = call;
  const body = await readJson(request, SMALL_BODY_LIMIT);
  if (queryAll(request, "kind").some((kind) => kind !== "user") || stringAt(body, "type") !== APPSERVICE) {
    throw new EmissaryError("forbidden", `Tenants register their own users only: the type must be ${APPSERVICE}.`);
  }
  // The specification has `username`, older appservices `user`.
  const name = stringAt(body, "user") ?? stringAt(body, "username");
  if (name === null || name === "") {
    throw new EmissaryError("bad-request", "The user to register is missing: `username` must be its localpart.");
  }
  const userId = registrable(call, name);
  if (!(await parts.personas.register(tenant.id, userId))) throw inUse(userId);
  return { user_id: userId, home_server: serverOf(userId) };
};

const available: ActHandler = async (call) => {
  const [name, ...more] = queryAll(call.request, "username");
  if (name === undefined || name === "" || more.length > 0) {
    throw new EmissaryError("bad-parameter", "The request must name one username.");
  }
  const userId = registrable(call, name);
  if (await call.parts.personas.isKnown(call.tenant.id, userId)) throw inUse(userId);
  return { available: true };
};

/** @param name a localpart or a whole user ID */
function registrable({ parts: { tenants, own }, tenant }: Call, name: string): UserId {
  const userId = name.startsWith("@") ? name : `@${name}:${serverOf(own)}`;
  return requirePersona(tenants, tenant, userId, "not-in-namespace");
}

function inUse(userId: UserId): EmissaryError {
  return new EmissaryError("user-in-use", `${userId} is registered already.`);
}

/** Returns the user of the path if it is the tenant's, or null. */
function personaOf({ parts, tenant, request }: Call): UserId | null {
  const userId = param(request, "userId");
  return isUserId(userId) && parts.tenants.isPersona(tenant, userId) ? userId : null;
}

/** Nobody outside knows personas, so their presence is dropped. */
const setPresence: ActHandler = async ({ parts, tenant, request }) => {
  requirePersona(parts.tenants, tenant, param(request, "userId"));
  await readJson(request, SMALL_BODY_LIMIT);
  return {};
};

const presence: ActHandler = async (call) => (personaOf(call) === null ? passOn(call) : { presence: "offline" });

/** A profile's fields by their API names, with Synapse's maximum lengths. */
const FIELDS = {
  displayname: { key: "displayname", longest: 256 },
  avatar_url: { key: "avatarUrl", longest: 1_000 },
} as const;
type FieldName = keyof typeof FIELDS;
const FIELD_NAMES = Object.keys(FIELDS) as FieldName[];

/** Parses a profile. Empty text and null clear a field. @throws EmissaryError `bad-request` */
export function profileIn(body: JsonObject): Partial<Profile> {
  const part: { -readonly [Key in keyof Profile]?: Profile[Key] } = {};
  for (const name of FIELD_NAMES) {
    const value = body[name];
    if (value === undefined) continue;
    const { key, longest } = FIELDS[name];
    if (value !== null && (typeof value !== "string" || value.length > longest)) {
      throw new EmissaryError("bad-request", `${name} must be a text of at most ${longest} characters.`);
    }
    part[key] = value === "" ? null : value;
  }
  return part;
}

const getProfile =
  (names: readonly FieldName[]): ActHandler =>
  async (call) => {
    const userId = personaOf(call);
    if (userId === null) return passOn(call);
    const profile = profileJson(await call.parts.personas.profile(call.tenant.id, userId));
    return Object.fromEntries(names.filter((name) => name in profile).map((name) => [name, profile[name]]));
  };

const putProfile =
  (name: FieldName): ActHandler =>
  async ({ parts, tenant, request }) => {
    const userId = requirePersona(parts.tenants, tenant, param(request, "userId"));
    const { [name]: value } = await readJson(request, SMALL_BODY_LIMIT);
    if (value === undefined) throw new EmissaryError("bad-request", `The body has no ${name}.`);
    await parts.personas.setProfile(tenant.id, userId, profileIn({ [name]: value }));
    return {};
  };

/** A tenant's users and their profiles. None has an account at the homeserver. */
export const personaEndpoints: readonly Endpoint[] = [
  answered(
    "POST /register",
    "a user of the tenant's, with `m.login.application_service`; no access token is made",
    register,
  ),
  answered("GET /register/available", "whether a user of the tenant's is still to be registered", available),
  passed(
    "GET /presence/:userId/status",
    "of the tenant's users: always offline; of others, the homeserver's answer",
    presence,
  ),
  answered("PUT /presence/:userId/status", "of the tenant's users; changes nothing", setPresence),
  passed(
    "GET /profile/:userId",
    "of the tenant's users, what it set; of others, the homeserver's answer",
    getProfile(FIELD_NAMES),
  ),
  ...FIELD_NAMES.flatMap((name) => [
    passed(`GET /profile/:userId/${name}`, "the same, one field", getProfile([name])),
    answered(`PUT /profile/:userId/${name}`, "of the tenant's users; shows with their next message", putProfile(name)),
  ]),
];
