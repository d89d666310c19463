import { EmissaryError } from "../../../model/errors.ts";
import { isUserId } from "../../../model/ids.ts";
import type { JsonObject } from "../../../model/json.ts";
import type { Profile } from "../../../model/persona.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import type { ActHandler, Endpoint } from "../act.ts";
import { requirePersona } from "../caller.ts";
import { NONE, pathOf } from "../path.ts";
import { profileJson } from "./persona-member.ts";
import { SMALL_BODY_LIMIT } from "./personas.ts";

/** A profile's fields by their API names, with Synapse's maximum lengths. */
const FIELDS = {
  displayname: { key: "displayname", longest: 256 },
  avatar_url: { key: "avatarUrl", longest: 1_000 },
} as const;
type FieldName = keyof typeof FIELDS;

/** Parses a profile. Empty text and null clear a field. @throws EmissaryError `bad-request` */
export function profileIn(body: JsonObject): Partial<Profile> {
  const part: { -readonly [Key in keyof Profile]?: Profile[Key] } = {};
  for (const name of Object.keys(FIELDS) as FieldName[]) {
    const value = body[name];
    if (value === undefined) continue;
    const { key, longest } = FIELDS[name];
    if (value !== null && (typeof value !== "string" || value.length > longest)) {
      throw new EmissaryError("bad-request", `${name} is to be a text of at most ${longest} characters.`);
    }
    part[key] = value === "" ? null : value;
  }
  return part;
}

const get =
  (...names: readonly FieldName[]): ActHandler =>
  async (parts, { tenant }, request, reply) => {
    const userId = param(request, "userId");
    if (!isUserId(userId) || !parts.tenants.isPersona(tenant, userId)) {
      return parts.upstream.asPseudouser(
        { method: "GET", path: pathOf(request, NONE), headers: request.headers, body: null },
        reply,
      );
    }
    const profile = profileJson(await parts.personas.profile(tenant.id, userId));
    return Object.fromEntries(names.filter((name) => name in profile).map((name) => [name, profile[name]]));
  };

const put =
  (name: FieldName): ActHandler =>
  async (parts, { tenant }, request) => {
    const userId = requirePersona(parts.tenants, tenant, param(request, "userId"));
    const { [name]: value } = await readJson(request, SMALL_BODY_LIMIT);
    if (value === undefined) throw new EmissaryError("bad-request", `The body has no ${name}.`);
    await parts.personas.setProfile(tenant.id, userId, profileIn({ [name]: value }));
    return {};
  };

/** The profiles of a tenant's users. A change shows with the next message, which carries its sender's profile. */
export const profileEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/profile/:userId",
    how: "passed",
    note: "of the tenant's users, what it set; of others, the homeserver's answer",
    handler: get("displayname", "avatar_url"),
  },
  ...(["displayname", "avatar_url"] as const).flatMap((name): Endpoint[] => [
    { method: "GET", path: `/profile/:userId/${name}`, how: "passed", note: "the same, one field", handler: get(name) },
    {
      method: "PUT",
      path: `/profile/:userId/${name}`,
      how: "answered",
      note: "of the tenant's users; shows with their next message",
      handler: put(name),
    },
  ]),
];
