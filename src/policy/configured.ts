import type { PolicyRule } from "./rule.ts";

/** The configuration's globs, by kind of entity. */
export interface ConfiguredRules {
  readonly denyRooms: readonly string[];
  readonly allowRooms: readonly string[];
  readonly denyServers: readonly string[];
  readonly allowServers: readonly string[];
  readonly denyUsers: readonly string[];
  readonly allowUsers: readonly string[];
  readonly denyTenants: readonly string[];
  readonly allowTenants: readonly string[];
}

export function configuredRules(config: ConfiguredRules): readonly PolicyRule[] {
  const of = (kind: PolicyRule["kind"], verdict: PolicyRule["verdict"], globs: readonly string[]): PolicyRule[] =>
    globs.map((entity) => ({ kind, verdict, entity, hashed: false, reason: null, source: "config" }));
  return [
    ...of("room", "deny", config.denyRooms),
    ...of("room", "allow", config.allowRooms),
    ...of("server", "deny", config.denyServers),
    ...of("server", "allow", config.allowServers),
    ...of("user", "deny", config.denyUsers),
    ...of("user", "allow", config.allowUsers),
    ...of("tenant", "deny", config.denyTenants),
    ...of("tenant", "allow", config.allowTenants),
  ];
}
