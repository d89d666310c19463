import { InviteBlock, type InviteTreatment } from "../attendance/invites/block.ts";
import type { InvitePermission } from "../attendance/invites/invite-permission.ts";
import { InvitedUsers, type InvitedUsersParts, type InviteOptions } from "./invited-users.ts";
import { answerOwnInvites, type OwnInvitesParts } from "../attendance/invites/own-invites.ts";

type Setting = "decline" | "block" | "keep";

export interface InvitesParts
  extends
    Omit<OwnInvitesParts, "setting" | "takesPart" | "store">,
    Omit<InvitedUsersParts, "options" | "recorder" | "tenants"> {
  readonly tenants: OwnInvitesParts["tenants"] & InvitedUsersParts["tenants"];
  readonly recorder: OwnInvitesParts["recorder"] & InvitedUsersParts["recorder"];
  readonly ownInvites: OwnInvitesParts["store"];
  readonly permission: Pick<InvitePermission, "isKnown" | "read" | "write">;
  readonly ownSetting: Setting;
  readonly options: InviteOptions & { readonly takePart: boolean };
}

/** Handles all invites: the pseudouser's own, and those of local users. */
export class Invites {
  readonly #block: InviteBlock;
  readonly #own: OwnInvitesParts;
  readonly #users: InvitedUsers;
  readonly #takesPart: boolean;
  #abort: AbortSignal | null = null;

  constructor(parts: InvitesParts) {
    this.#block = new InviteBlock(parts.ownSetting, parts);
    this.#takesPart = parts.options.takePart;
    const setting = (): Setting => this.#block.setting;
    this.#own = { ...parts, store: parts.ownInvites, setting, takesPart: this.#takesPart };
    this.#users = new InvitedUsers(parts);
  }

  /** How invites of the pseudouser that are for no tenant are treated now. */
  get treatment(): InviteTreatment {
    return this.#block.holds;
  }

  setOwn(setting: Setting): void {
    if (setting === this.#block.setting) return;
    this.#block.choose(setting);
    if (this.#abort !== null) void this.#block.tell(this.#abort);
  }

  async run(abort: AbortSignal): Promise<void> {
    this.#abort = abort;
    const users = this.#takesPart ? this.#users.run(abort) : this.#users.forgo();
    await Promise.all([this.#block.tell(abort), answerOwnInvites(this.#own, abort), users]);
  }
}
