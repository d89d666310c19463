import type { Clock } from "../../model/clock.ts";
import { sentenceOf } from "../../model/errors.ts";
import { without } from "../../model/json.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { Logger } from "../../model/logger.ts";
import type { InvitePermission } from "./invite-permission.ts";

/** What happens to invites for no tenant: the homeserver refuses them, we decline them, or they stay open. */
export type InviteTreatment = "blocked" | "declined" | "kept";

const AGAIN_MS = 60_000;

export interface BlockParts {
  readonly permission: Pick<InvitePermission, "isKnown" | "read" | "write">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Makes the homeserver refuse all invites of the pseudouser, or none. If it cannot, we decline the invites. */
export class InviteBlock {
  readonly #parts: BlockParts;
  #setting: "decline" | "block" | "keep";
  #isBlocking = false;
  #turn = new AbortController();
  readonly #mutex = new KeyedMutex();

  constructor(setting: "decline" | "block" | "keep", parts: BlockParts) {
    this.#setting = setting;
    this.#parts = parts;
  }

  get holds(): InviteTreatment {
    if (this.#setting === "keep") return "kept";
    return this.#isBlocking ? "blocked" : "declined";
  }

  get setting(): "decline" | "block" | "keep" {
    return this.#setting;
  }

  /** Uses another setting from now on. */
  choose(setting: "decline" | "block" | "keep"): void {
    this.#setting = setting;
  }

  /** Ends when the homeserver has the setting, when another is chosen and told, or when the signal aborts. */
  tell(abort: AbortSignal): Promise<void> {
    this.#turn.abort();
    this.#turn = new AbortController();
    const over = AbortSignal.any([abort, this.#turn.signal]);
    return this.#mutex.run(null, () => this.#tell(this.#setting === "block", over));
  }

  async #tell(isWanted: boolean, over: AbortSignal): Promise<void> {
    const { permission, clock, log } = this.#parts;
    while (!over.aborted) {
      try {
        this.#isBlocking = await tell(permission, isWanted);
        if (isWanted && !this.#isBlocking) log.warn("invites.not-blocked", { remedy: REMEDY });
        return;
      } catch (error) {
        log.warn("invites.permission-not-set", { cause: sentenceOf(error), retry_in_ms: AGAIN_MS });
        await clock.sleep(AGAIN_MS, over);
      }
    }
  }
}

const REMEDY =
  "The homeserver does not know m.invite_permission_config (spec v1.18), so invites are declined as they come.";

/** Returns whether the homeserver blocks invites now. Others' content of the account data is kept. */
async function tell(permission: BlockParts["permission"], isWanted: boolean): Promise<boolean> {
  const content = await permission.read();
  const isSet = content?.["default_action"] === "block";
  if (isWanted && !(await permission.isKnown())) return false;
  if (isWanted && !isSet) await permission.write({ ...content, default_action: "block" });
  if (!isWanted && isSet) await permission.write(without(content, "default_action"));
  return isWanted;
}
