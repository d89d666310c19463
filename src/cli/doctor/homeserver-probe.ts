import { sentenceOf } from "../../model/errors.ts";
import { type UserId } from "../../model/ids.ts";
import { answerOf, HomeserverClient, type Answer, type CallOptions } from "../../homeserver/client.ts";
import type { Config } from "../../platform/config/config.ts";
import type { Machine } from "./machine.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";

const TIMEOUT_MS = 15_000;
export const WHOAMI = "/_matrix/client/v3/account/whoami";

export interface Heard extends Answer {
  readonly heard: true;
  /** By how many milliseconds the answerer's clock is ahead of ours; null where it does not tell its time. */
  readonly ahead: number | null;
}

/** An answer of any kind, or why there is none: a clause. */
export type Reply = Heard | { readonly heard: false; readonly why: string };

/** The homeserver as the checks ask it. Each question is asked once, however many checks want to know. */
export class HomeserverProbe {
  readonly versions = once(() => this.#ask(() => this.#anonymous("/_matrix/client/versions")));
  /** Whom the homeserver takes the holder of our as_token for. */
  readonly whoami = once(() => this.call("GET", WHOAMI, { asPseudouser: false }));
  /** The same, when it asks for the pseudouser. */
  readonly whoamiAsPseudouser = once(() => this.call("GET", WHOAMI));
  /** Registers the pseudouser, as the daemon does when it starts. Where it is there already, this changes nothing. */
  readonly register = once(() => this.call("POST", REGISTER, registrationOf(this.#client.own)));
  /** Has the homeserver call us (spec v1.7, "Pinging"), with an ID by which the daemon sees that it is a new call. */
  readonly ping = once(() =>
    this.call("POST", `/_matrix/client/v1/appservice/${encodeURIComponent(this.#registrationId)}/ping`, {
      asPseudouser: false,
      body: { transaction_id: this.#machine.random.token(16) },
      timeout: this.#machine.pingTimeout,
    }),
  );
  readonly #client: HomeserverClient;
  readonly #registrationId: string;
  readonly #machine: Machine;

  constructor(config: Config, own: UserId, machine: Machine) {
    this.#machine = machine;
    this.#registrationId = config.registration.id;
    this.#client = new HomeserverClient({
      url: new URL(config.homeserver.url),
      asToken: config.registration.asToken,
      own,
      connections: 4,
    });
  }

  call(method: "GET" | "POST", path: string, options: CallOptions = {}): Promise<Reply> {
    return this.#ask(() => this.#client.open(method, path, { timeout: TIMEOUT_MS, ...options }));
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Without our token: Synapse refuses to tell its versions to a token that it does not know. */
  #anonymous(path: string): ReturnType<HomeserverClient["open"]> {
    return this.#client.pool.request({
      method: "GET",
      path: this.#client.path(path),
      headersTimeout: TIMEOUT_MS,
    });
  }

  async #ask(send: () => ReturnType<HomeserverClient["open"]>): Promise<Reply> {
    const sent = this.#machine.clock.now();
    try {
      const response = await send();
      const ahead = aheadOf(response.headers["date"], (sent + this.#machine.clock.now()) / 2);
      return { heard: true, ahead, ...(await answerOf(response)) };
    } catch (error) {
      return { heard: false, why: silence(error) };
    }
  }
}

/** @param at when the answer was under way, by our clock */
export function aheadOf(date: string | string[] | undefined, at: number): number | null {
  const told = Date.parse(String(date));
  // The header has whole seconds only: on average half a second has passed.
  return Number.isNaN(told) ? null : told + 500 - at;
}

const SILENCES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no machine of that name",
  EAI_AGAIN: "the name cannot be looked up",
  EHOSTUNREACH: "there is no way to that machine",
  ENETUNREACH: "there is no way to that network",
  ECONNRESET: "the connection was cut off",
  UND_ERR_SOCKET: "the connection was cut off",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "an answer that stopped half-way",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: http:// in place of https:// may be right",
};

/** Why no answer came, as a clause. The cause says it best; what is wrapped around it only says that it failed. */
export function silence(error: unknown): string {
  if (!(error instanceof Error)) return sentenceOf(error);
  const code = "code" in error ? String(error.code) : "";
  if (SILENCES[code] !== undefined) return SILENCES[code];
  if (error.cause instanceof Error) return silence(error.cause);
  return error.message === "" ? code : error.message;
}

/** The answer of the first call, for every call. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}
