import type { Fields } from "./json.ts";
import type { Power } from "./power.ts";
import type { AuthState } from "./state.ts";

/** A well-formed membership change, and the data to judge it by. */
export interface Change {
  readonly version: string;
  /** The sender of the create event. Additional creators have power only. */
  readonly creator: string;
  readonly state: AuthState;
  readonly power: Power;
  readonly sender: string;
  readonly target: string;
  readonly membership: string;
  readonly content: Fields;
  readonly isFirst: boolean;
  readonly isThirdPartySigned: boolean;
}
