import type { TenantId, UserId } from "./ids.ts";

export const TENANT_ACTIONS = ["read", "send", "redact", "state", "room-state"] as const;
/**
 * What a tenant may do in its rooms. `redact` covers its own events only; `state` covers types outside `m.room.`, and
 * `room-state` those inside, except memberships, which belong to attendance.
 */
export type TenantAction = (typeof TENANT_ACTIONS)[number];

export const DEFAULT_ACTIONS: readonly TenantAction[] = ["read", "send", "redact"];

/** An appservice or a bot that acts through the pseudouser. */
export interface Tenant {
  readonly id: TenantId;
  /** The user that the tenant takes itself for; it exists inside Emissary only. */
  readonly sender: UserId;
  /** Where the tenant wants its transactions, or null for one without a server of its own. */
  readonly url: string | null;
  /** The namespace of its personas, a regular expression, or null. */
  readonly users: string | null;
  readonly actions: readonly TenantAction[];
  readonly createdAt: number;
}

/** Whether a text is a regular expression, in the syntax that registrations are read with. */
export function isRegex(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
