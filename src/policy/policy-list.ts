import type { StateEvent } from "../model/event.ts";
import type { RoomId } from "../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../model/json.ts";
import { MAX_GLOB } from "./glob.ts";
import type { EntityKind, PolicyRule } from "./rule.ts";

/** Types of rules (spec, "Moderation policy lists"), and the earlier types from the time of MSC2313. */
const KIND_OF: ReadonlyMap<string, EntityKind> = new Map(
  ["m.policy.rule", "m.room.rule", "org.matrix.mjolnir.rule"].flatMap((prefix) =>
    (["user", "room", "server"] as const).map((kind): [string, EntityKind] => [`${prefix}.${kind}`, kind]),
  ),
);

/**
 * Recommendations that deny. A takedown (MSC4204) asks for more than a ban; the rest is for homeservers. Other
 * recommendations, allowing ones included, are ignored: only the operator makes exceptions.
 */
const DENYING: ReadonlySet<string> = new Set([
  "m.ban",
  "org.matrix.mjolnir.ban",
  "m.takedown",
  "org.matrix.msc4204.takedown",
]);

/** Longest reason kept, in characters. */
const MAX_REASON = 500;
/** Bytes of a SHA-256. */
const HASH_BYTES = 32;

/** Whether an event of this type in a list may change its rules. A redaction removes a rule. */
export function concernsRules(type: string): boolean {
  return KIND_OF.has(type) || type === "m.room.redaction";
}

/** Returns the rule of a list's state event, or null if the event has another type, was removed, or is malformed. */
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

/** Whether a text can be an entity: no identifier is longer, or contains half a surrogate pair. */
function isEntity(text: string): boolean {
  return text !== "" && text.length <= MAX_GLOB && text.isWellFormed();
}

/** Returns the entity's hash (MSC4205) as rules store it. Reads both base64 alphabets, with and without padding. */
function hashIn(content: JsonObject): string | null {
  const hashes = content["hashes"] ?? content["org.matrix.msc4205.hashes"];
  const sha256 = isJsonObject(hashes) ? stringAt(hashes, "sha256") : null;
  if (sha256 === null || !/^[A-Za-z0-9+/_-]{43}=?$/.test(sha256)) return null;
  const bytes = Buffer.from(sha256, "base64");
  return bytes.length === HASH_BYTES ? bytes.toString("base64").replace("=", "") : null;
}
