import type { StateEvent } from "../model/event.ts";
import type { RoomId } from "../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../model/json.ts";
import { MAX_GLOB } from "./glob.ts";
import type { EntityKind, PolicyRule } from "./rule.ts";

/** Types of rules (spec, "Moderation policy lists"), and those that lists were written with while MSC2313 was being made. */
const KIND_OF: ReadonlyMap<string, EntityKind> = new Map(
  ["m.policy.rule", "m.room.rule", "org.matrix.mjolnir.rule"].flatMap((prefix) =>
    (["user", "room", "server"] as const).map((kind): [string, EntityKind] => [`${prefix}.${kind}`, kind]),
  ),
);

/**
 * What a list may ask for that means: have nothing to do with it. A takedown (MSC4204) asks for more than a ban, and that more is
 * for homeservers. What else a list recommends, allowing something included, is not heeded: exceptions are the operator's.
 */
const DENYING: ReadonlySet<string> = new Set([
  "m.ban",
  "org.matrix.mjolnir.ban",
  "m.takedown",
  "org.matrix.msc4204.takedown",
]);

/** Characters. A reason is for people. */
const MAX_REASON = 500;
/** SHA-256 in bytes. */
const HASH_BYTES = 32;

/** Whether an event of this type in a list may change its rules. A redaction takes a rule back. */
export function concernsRules(type: string): boolean {
  return KIND_OF.has(type) || type === "m.room.redaction";
}

/** The rule that a state event of a list says, or null where it says none: it is of another type, taken back, or cannot be read. */
export function ruleIn({ type, content }: StateEvent, list: RoomId): PolicyRule | null {
  const kind = KIND_OF.get(type);
  const recommendation = stringAt(content, "recommendation");
  if (kind === undefined || recommendation === null || !DENYING.has(recommendation)) return null;
  const entity = stringAt(content, "entity");
  const named = entity === null ? hashIn(content) : isEntity(entity) ? entity : null;
  if (named === null) return null;
  const reason = stringAt(content, "reason")?.slice(0, MAX_REASON).toWellFormed() ?? null;
  return {
    kind,
    verdict: "deny",
    entity: named,
    hashed: entity === null,
    reason: reason === "" ? null : reason,
    source: list,
  };
}

/** No identifier is longer, and none has half a character in it. */
function isEntity(text: string): boolean {
  return text !== "" && text.length <= MAX_GLOB && text.isWellFormed();
}

/** The hash that stands for an entity (MSC4205), as rules have it. Both alphabets of base64 are read, with padding and without. */
function hashIn(content: JsonObject): string | null {
  const hashes = content["hashes"] ?? content["org.matrix.msc4205.hashes"];
  const sha256 = isJsonObject(hashes) ? stringAt(hashes, "sha256") : null;
  if (sha256 === null || !/^[A-Za-z0-9+/_-]{43}=?$/.test(sha256)) return null;
  const bytes = Buffer.from(sha256, "base64");
  return bytes.length === HASH_BYTES ? bytes.toString("base64").replace("=", "") : null;
}
