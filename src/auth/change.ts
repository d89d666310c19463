import type { Fields } from "./json.ts";
import type { Power } from "./power.ts";
import type { AuthState } from "./state.ts";

/** A change of membership whose parts are of the right form, with what it is judged by. */
export interface Change {
  readonly version: string;
  /** Who sent the create event; the additional creators have power only. */
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
