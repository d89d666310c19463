import type { PseudouserAccount } from "../account.ts";
import { stringAt } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import type { PseudouserDevice } from "../../homeserver/device.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";

/** The pseudouser's account on the homeserver (spec, AS API, "Server admin style permissions" and "Registration"). */
export class HomeserverAccount implements PseudouserAccount {
  readonly #client: HomeserverClient;
  readonly #device: PseudouserDevice;
  readonly #abort: AbortSignal;

  /** @param abort aborts calls to the homeserver */
  constructor(client: HomeserverClient, device: PseudouserDevice, abort: AbortSignal) {
    this.#client = client;
    this.#device = device;
    this.#abort = abort;
  }

  async whoami(): Promise<string | null> {
    const answer = await this.#client.call("GET", "/_matrix/client/v3/account/whoami", {
      abort: this.#abort,
    });
    if (answer.status === 200) return stringAt(answer.body, "user_id") ?? "";
    // Synapse answers 403 for a user of our namespace that is not registered.
    if (answer.status === 403 || answer.status === 404) return null;
    throw failureOf(answer, "tell who we are");
  }

  async register(): Promise<
    { readonly outcome: "made" | "exists" } | { readonly outcome: "refused"; readonly reason: string }
  > {
    const answer = await this.#client.call("POST", REGISTER, {
      abort: this.#abort,
      ...registrationOf(this.#client.own),
    });
    if (answer.status === 200) return { outcome: "made" };
    if (answer.errcode === "M_USER_IN_USE") return { outcome: "exists" };
    if (answer.status === 400 || answer.status === 403) {
      return { outcome: "refused", reason: `${answer.errcode ?? answer.status}: ${answer.error ?? "no reason given"}` };
    }
    throw failureOf(answer, "register the pseudouser");
  }

  async displayname(): Promise<string | null> {
    const answer = await this.#client.call("GET", this.#displaynamePath(), { abort: this.#abort });
    if (answer.status === 200) return stringAt(answer.body, "displayname");
    if (answer.status === 404 || answer.status === 403) return null;
    throw failureOf(answer, "tell the pseudouser's profile");
  }

  async setDisplayname(displayname: string): Promise<void> {
    const answer = await this.#client.call("PUT", this.#displaynamePath(), {
      abort: this.#abort,
      body: { displayname },
    });
    if (answer.status !== 200) throw failureOf(answer, "set the pseudouser's display name");
  }

  async haveDevice(): Promise<void> {
    await this.#device.make(this.#abort);
  }

  #displaynamePath(): string {
    return `/_matrix/client/v3/profile/${encodeURIComponent(this.#client.own)}/displayname`;
  }
}
