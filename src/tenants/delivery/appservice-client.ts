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
  readonly #url: URL;
  readonly #hsToken: string;
  readonly #ca: string | null;
  /** Appservices from before v1.0 of the specification listen at the unversioned path ("Legacy routes"). */
  #isOld = false;

  constructor(pusher: Pick<Pusher, "push">, { url, ca }: Pick<Tenant, "url" | "ca">, hsToken: string) {
    this.#pusher = pusher;
    this.#url = new URL(url ?? "");
    this.#ca = ca;
    this.#hsToken = hsToken;
  }

  /** Sends a transaction to the path that the tenant knows. */
  async put(txnId: string, body: string, timeout: number, abort: AbortSignal): Promise<Outcome> {
    const give = async (isOld: boolean): Promise<Outcome> =>
      outcomeOf(
        await this.#call("PUT", `${isOld ? "" : "/_matrix/app/v1"}/transactions/${txnId}`, body, timeout, abort),
      );
    const first = await give(this.#isOld);
    if (first.kind === "taken" || !first.isPath) return first;
    const second = await give(!this.#isOld);
    if (second.kind !== "taken") return first;
    this.#isOld = !this.#isOld;
    return second;
  }

  ping(body: string, abort: AbortSignal): Promise<PushAnswer> {
    return this.#call("POST", "/_matrix/app/v1/ping", body, PING_MS, abort);
  }

  #call(method: Push["method"], path: string, body: string, timeout: number, abort: AbortSignal): Promise<PushAnswer> {
    const url = new URL(this.#url.origin);
    url.pathname = `${this.#url.pathname.replace(/\/+$/, "")}${path}`;
    // Software from before the header (spec v1.4) reads only the query, which proxies would log.
    if (!path.startsWith("/_matrix/")) url.searchParams.set("access_token", this.#hsToken);
    return this.#pusher.push({ method, url, token: this.#hsToken, body, timeout, ca: this.#ca }, abort);
  }
}

/** Pings a tenant and describes the outcome in a sentence. Never rejects. */
export async function pingTenant(
  { url, ca }: Tenant,
  transactionId: string | null,
  parts: { readonly pusher: Pick<Pusher, "push">; readonly hsToken: string; readonly clock: Clock },
  abort: AbortSignal,
): Promise<PingOutcome> {
  const unheard = { ok: false, status: null, body: null } as const;
  if (url === null) return { ...unheard, why: "no-url", sentence: "The tenant has no URL." };
  const body = JSON.stringify(transactionId === null ? {} : { transaction_id: transactionId });
  const { clock } = parts;
  const begun = clock.now();
  let answer: PushAnswer;
  try {
    answer = await new AppserviceClient(parts.pusher, { url, ca }, parts.hsToken).ping(body, abort);
  } catch (error) {
    answer = { heard: false, isTimeout: false, isBroken: false, why: sentenceOf(error) };
  }
  if (!answer.heard) {
    const why = answer.isTimeout ? "connection-timeout" : "connection-failed";
    return { ...unheard, why, sentence: `The tenant cannot be reached at ${url}: ${answer.why}.` };
  }
  const { status } = answer;
  if (status === 200) return { ok: true, ms: Math.max(0, clock.now() - begun) };
  const outcome = outcomeOf(answer);
  const isUnknown = outcome.kind === "not-taken" && outcome.isPath;
  const sentence = isUnknown
    ? `Something answers ${status} at ${url}: another program, or an appservice that does not know pings (MSC2659).`
    : outcome.kind === "not-taken"
      ? outcome.sentence
      : `The tenant answers ${status}.`;
  return {
    ok: false,
    why: "bad-status",
    status,
    body: answer.body.subarray(0, QUOTED_BYTES).toString("utf8"),
    sentence,
  };
}
