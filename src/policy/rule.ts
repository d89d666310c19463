import type { RoomId } from "../model/ids.ts";

export const ENTITY_KINDS = ["room", "server", "user", "tenant"] as const;
/** What a rule can be about. A room goes by its ID and its aliases, a user by its ID: whoever invites, or has made the room. */
export type EntityKind = (typeof ENTITY_KINDS)[number];

/** Whose rule it is: of the configuration, of the operator at run time, or of a policy list, by its room (MSC2313). */
export type RuleSource = "config" | "operator" | RoomId;

export interface PolicyRule {
  readonly kind: EntityKind;
  readonly verdict: "allow" | "deny";
  /** A glob; or, where `hashed`, the unpadded base64 of the entity's SHA-256 (MSC4205). */
  readonly entity: string;
  readonly hashed: boolean;
  readonly reason: string | null;
  readonly source: RuleSource;
  /** Of an exception by one alias: the room that this stands for. Without it, it stands for none. */
  readonly pin?: RoomId;
}

/** Something that a question is about, as rules know it. */
export interface Entity {
  readonly kind: EntityKind;
  readonly text: string;
}

/** A rule that says something of an entity. */
export interface RuleMatch {
  readonly entity: Entity;
  readonly rule: PolicyRule;
}
