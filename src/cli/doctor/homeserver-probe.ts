import type { UserId } from "../../model/ids.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";
import type { Config } from "../../platform/config/config.ts";
import type { Asker, Question, Reply } from "./asker.ts";
import type { Machine } from "./machine.ts";

const WHOAMI = "/_matrix/client/v3/account/whoami";

/** The homeserver as the checks see it. Each request is made once, however many checks need it. */
export class HomeserverProbe {
  /** Without our token: Synapse refuses this to unknown tokens. */
  readonly versions = once(() => this.#asker.ask("GET", `${this.#base}/_matrix/client/versions`));
  /** The user that the homeserver takes the holder of our as_token for. */
  readonly whoami = once(() => this.call("GET", WHOAMI));
  /** The same, when we act as the pseudouser. */
  readonly whoamiAsPseudouser = once(() => this.whoamiAs(this.#own));
  /** Registers the pseudouser, as the daemon does at its start. Changes nothing if it exists. */
  readonly register = once(() => this.call("POST", REGISTER, { body: registrationOf(this.#own).body }));
  /** Makes the homeserver call us (spec v1.7, "Pinging"), with an ID by which the daemon recognises this call. */
  readonly ping = once(() =>
    this.call("POST", `/_matrix/client/v1/appservice/${encodeURIComponent(this.#registration.id)}/ping`, {
      body: { transaction_id: this.#machine.random.token(16) },
      timeout: this.#machine.pingTimeout,
    }),
  );
  readonly #asker: Asker;
  readonly #base: string;
  readonly #own: UserId;
  readonly #registration: Config["registration"];
  readonly #machine: Machine;

  constructor(config: Config, own: UserId, machine: Machine, asker: Asker) {
    this.#asker = asker;
    this.#base = config.homeserver.url.replace(/\/$/, "");
    this.#own = own;
    this.#registration = config.registration;
    this.#machine = machine;
  }

  /** Makes a request as our registration's sender. */
  call(method: "GET" | "POST", path: string, question: Omit<Question, "token"> = {}): Promise<Reply> {
    return this.#asker.ask(method, `${this.#base}${path}`, { ...question, token: this.#registration.asToken });
  }

  whoamiAs(userId: UserId): Promise<Reply> {
    return this.callAs(userId, "GET", WHOAMI);
  }

  callAs(userId: UserId, method: "GET" | "POST", path: string): Promise<Reply> {
    return this.call(method, `${path}?user_id=${encodeURIComponent(userId)}`);
  }
}

/** Returns a function that asks once and gives every caller that answer. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}
