import type { RoomId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import { wordFor } from "./permit.ts";

/** Characters of a reason that are looked at: those that the ledger keeps, so that an invite and its memory say the same. */
const MAX_REASON = 500;

/** Whatever cannot be part of a tenant's ID or sender, letters of all scripts aside: a word in them is no tenant's ID. */
const BETWEEN_WORDS = /[^\p{L}\p{M}\p{N}@:._\-[\]]+/u;

/**
 * The tenant that an invite of the pseudouser is for, or null where it is for none or for several. It is the one whose ID or sender
 * stands in the reason; where none does, the only one that a grant names this room to.
 * The room goes by its ID alone: what the invite says of it is the inviter's word.
 */
export function addresseeOf(reason: string | null, roomId: RoomId, tenants: readonly Tenant[]): Tenant | null {
  const words = wordsOf((reason ?? "").slice(0, MAX_REASON));
  const named = tenants.filter(({ id, sender }) => words.has(id) || words.has(sender.toLowerCase()));
  const meant =
    named.length > 0 ? named : tenants.filter((tenant) => wordFor(tenant, { id: roomId, alias: null }) === "named");
  return meant.length === 1 ? (meant[0] ?? null) : null;
}

/** In lower case, as IDs are; each as it stands, and without what is around it as punctuation or a mention. */
function wordsOf(text: string): ReadonlySet<string> {
  const words = text.toLowerCase().split(BETWEEN_WORDS);
  const trimmed = words.map((word) => word.replace(/^[@:._\-[\]]+/, "").replace(/[@:._\-[\]]+$/, ""));
  const senders = words.map((word) => word.replace(/[:._-]+$/, ""));
  return new Set([...words, ...trimmed, ...senders]);
}
