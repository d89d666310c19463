import type { AnswerOf } from "./endpoint.ts";
import { ALIAS_ENDPOINTS, ALIAS_SCHEMAS } from "./aliases.ts";
import { DAEMON_ENDPOINTS, DAEMON_SCHEMAS } from "./daemon.ts";
import { POLICY_ENDPOINTS, POLICY_SCHEMAS } from "./policy.ts";
import { ROOM_ENDPOINTS, ROOM_SCHEMAS } from "./rooms.ts";
import { TENANT_ENDPOINTS, TENANT_SCHEMAS } from "./tenants.ts";

export const ADMIN_BASE = "/_emissary/v1";

/** All operations that need the admin token, by their name in routes and the CLI. */
export const ADMIN_ENDPOINTS = {
  ...DAEMON_ENDPOINTS,
  ...ROOM_ENDPOINTS,
  ...ALIAS_ENDPOINTS,
  ...POLICY_ENDPOINTS,
  ...TENANT_ENDPOINTS,
};
export type AdminEndpoints = typeof ADMIN_ENDPOINTS;
export type AdminAnswer<Name extends keyof AdminEndpoints> = AnswerOf<AdminEndpoints[Name]>;

/** Parts of answers and bodies, by their name in the documents. */
export const ADMIN_SCHEMAS = {
  ...DAEMON_SCHEMAS,
  ...ROOM_SCHEMAS,
  ...ALIAS_SCHEMAS,
  ...POLICY_SCHEMAS,
  ...TENANT_SCHEMAS,
};
