import type { RoomId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { reachFor } from "./permit.ts";

/** Characters of a reason that are read: as many as the ledger keeps, so both copies give the same result. */
const MAX_REASON = 500;

/** Characters that separate words: those outside tenants' IDs and senders, but no letters of any script. */
const BETWEEN_WORDS = /[^\p{L}\p{M}\p{N}@:._\-[\]]+/u;

/**
 * Returns the tenant that an invite of the pseudouser is for, or null if there is none or more than one. It is the
 * tenant whose ID or sender is in the reason; without one, the only tenant with a grant that names this room. Only the
 * room's ID counts: what the invite says of the room is the inviter's claim.
 */
export function addresseeOf(reason: string | null, roomId: RoomId, tenants: readonly Tenant[]): Tenant | null {
  const words = wordsOf((reason ?? "").slice(0, MAX_REASON));
  const named = tenants.filter(({ id, sender }) => words.has(id) || words.has(sender.toLowerCase()));
  const meant =
    named.length > 0 ? named : tenants.filter((tenant) => reachFor(tenant, { id: roomId, alias: null }) === "named");
  return meant.length === 1 ? (meant[0] ?? null) : null;
}

/** Splits a text into lower-case words, each as written and without punctuation or mention signs around it. */
function wordsOf(text: string): ReadonlySet<string> {
  const words = text.toLowerCase().split(BETWEEN_WORDS);
  const trimmed = words.map((word) => word.replace(/^[@:._\-[\]]+/, "").replace(/[@:._\-[\]]+$/, ""));
  const senders = words.map((word) => word.replace(/[:._-]+$/, ""));
  return new Set([...words, ...trimmed, ...senders]);
}
