import type { JsonObject } from "./json.ts";
import type { RoomId } from "./ids.ts";

/** An action that was done or refused on somebody's behalf. */
export interface AuditEntry {
  /** `tenant:telegram`, `operator`, `emissary` … */
  readonly actor: string;
  /** `lease.take`, `lease.release`, `room.join`, `event.send`, `tenant.add` … */
  readonly action: string;
  /** `done`, or the code of the refusal. */
  readonly outcome: string;
  readonly roomId: RoomId | null;
  readonly detail: JsonObject;
}

export interface AuditRow extends AuditEntry {
  readonly id: number;
  readonly at: number;
}
