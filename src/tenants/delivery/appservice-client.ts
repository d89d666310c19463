import { sentenceOf } from "../../model/errors.ts";
import type { Clock } from "../../model/clock.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Push, PushAnswer, Pusher } from "../../http/push.ts";
import type { PingOutcome } from "../../policy/tenants.ts";
import { outcomeOf, type Outcome } from "./outcome.ts";

/** Short, because somebody waits for a ping. */
const PING_MS = 10_000;
/** Maximum bytes of a tenant's ping answer that are passed on. */
const QUOTED_BYTES = 4_096;

/** One tenant's server, called as a homeserver calls it (spec, application service API). */
export class AppserviceClient {
  readonly #pusher: Pick<Pusher, "push">;
  readonly #given: string;
  readonly #hsToken: string;
  readonly #ca: string | null;
  /** Appservices from before v1.0 of the specification listen at the unversioned path ("Legacy routes"). */
  #isOld = false;

  constructor(pusher: Pick<Pusher, "push">, { url, ca }: Pick<Tenant, "url" | "ca">, hsToken: string) {
    this.#pusher = pusher;
    this.#given = url ?? "";
    this.#ca = ca;
    this.#hsToken = hsToken;
  }

  /** Sends a transaction to the path that the tenant knows. */
  async put(txnId: string, body: string, timeout: number, abort: AbortSignal): Promise<Outcome> {
    const give = async (isOld: boolean): Promise<Outcome> => {
      const path = `${isOld ? "" : "/_matrix/app/v1"}/transactions/${txnId}`;
      return outcomeOf(await this.#call("PUT", path, body, timeout, abort));
    };
    const first = await give(this.#isOld);
    if (first.kind === "taken" || !first.isPath) return first;
    const second = await give(!this.#isOld);
    if (second.kind !== "taken") return first;
    this.#isOld = !this.#isOld;
    return second;
  }

  /** Pings the tenant and describes the outcome in a sentence. Never rejects. */
  async ping(transactionId: string | null, clock: Clock, abort: AbortSignal): Promise<PingOutcome> {
    const body = JSON.stringify(transactionId === null ? {} : { transaction_id: transactionId });
    const begun = clock.now();
    const answer = await this.#call("POST", "/_matrix/app/v1/ping", body, PING_MS, abort).catch(
      (error: unknown): PushAnswer => ({ heard: false, isTimeout: false, isBroken: false, why: sentenceOf(error) }),
    );
    if (!answer.heard) {
      const why = answer.isTimeout ? "connection-timeout" : "connection-failed";
      const sentence = `The tenant cannot be reached at ${this.#given}: ${answer.why}.`;
      return { ok: false, status: null, body: null, why, sentence };
    }
    const { status } = answer;
    if (status === 200) return { ok: true, ms: Math.max(0, clock.now() - begun) };
    const outcome = outcomeOf(answer);
    const isUnknown = outcome.kind === "not-taken" && outcome.isPath;
    const answers = outcome.kind === "not-taken" ? outcome.sentence : `The tenant answers ${status}.`;
    const sentence = isUnknown
      ? `Something answers ${status} at ${this.#given}: another program, or an appservice that does not know pings (MSC2659).`
      : answers;
    const quoted = answer.body.subarray(0, QUOTED_BYTES).toString("utf8");
    return { ok: false, why: "bad-status", status, body: quoted, sentence };
  }

  async #call(
    method: Push["method"],
    path: string,
    body: string,
    timeout: number,
    abort: AbortSignal,
  ): Promise<PushAnswer> {
    const given = new URL(this.#given);
    const url = new URL(given.origin);
    url.pathname = `${given.pathname.replace(/\/+$/, "")}${path}`;
    // Software from before the header (spec v1.4) reads only the query, which proxies would log.
    if (!path.startsWith("/_matrix/")) url.searchParams.set("access_token", this.#hsToken);
    return this.#pusher.push({ method, url, token: this.#hsToken, body, timeout, ca: this.#ca }, abort);
  }
}
