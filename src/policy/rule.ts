import type { RoomId } from "../model/ids.ts";

export const ENTITY_KINDS = ["room", "server", "user", "tenant"] as const;
/** What a rule can be about. A room matches by ID and aliases, a user by ID: an inviter or a room's creator. */
export type EntityKind = (typeof ENTITY_KINDS)[number];

/** The source of a rule: the configuration, the operator at run time, or a policy list's room (MSC2313). */
export type RuleSource = "config" | "operator" | RoomId;

export interface PolicyRule {
  readonly kind: EntityKind;
  readonly verdict: "allow" | "deny";
  /** A glob; or, if `hashed`, the unpadded base64 of the entity's SHA-256 (MSC4205). */
  readonly entity: string;
  readonly hashed: boolean;
  readonly reason: string | null;
  readonly source: RuleSource;
  /** For an exception by one alias: the room that the alias stands for. Without a pin, it stands for none. */
  readonly pin?: RoomId;
}

/** Something that a question is about and that rules can match. */
export interface Entity {
  readonly kind: EntityKind;
  readonly text: string;
}

/** A rule that matches an entity. */
export interface RuleMatch {
  readonly entity: Entity;
  readonly rule: PolicyRule;
}

/** The configuration's globs, by verdict and kind of entity. */
export type ConfiguredRules = Readonly<
  Record<
    | ("denyRooms" | "denyServers" | "denyUsers" | "denyTenants")
    | ("allowRooms" | "allowServers" | "allowUsers" | "allowTenants"),
    readonly string[]
  >
>;

export function configuredRules(config: ConfiguredRules): readonly PolicyRule[] {
  const globs = [
    ["room", config.denyRooms, config.allowRooms],
    ["server", config.denyServers, config.allowServers],
    ["user", config.denyUsers, config.allowUsers],
    ["tenant", config.denyTenants, config.allowTenants],
  ] as const;
  const of = (kind: EntityKind, verdict: PolicyRule["verdict"], entities: readonly string[]): PolicyRule[] =>
    entities.map((entity) => ({ kind, verdict, entity, hashed: false, reason: null, source: "config" }));
  return globs.flatMap(([kind, denied, allowed]) => [...of(kind, "deny", denied), ...of(kind, "allow", allowed)]);
}
