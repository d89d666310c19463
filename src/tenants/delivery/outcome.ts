import { parsedObject, stringAt } from "../../model/json.ts";
import type { PushAnswer } from "../../http/push.ts";

export type Outcome =
  | { readonly kind: "taken" }
  | {
      readonly kind: "not-taken";
      readonly isToken: boolean;
      readonly isPath: boolean;
      readonly blames: Blame;
      readonly sentence: string;
    };

export type Failure = Extract<Outcome, { kind: "not-taken" }>;

/** `silence`: the tenant may have hung or died at an event, or may have taken everything and its answer was lost. */
export type Blame = "size" | "events" | "silence" | "nothing";

/** Statuses that say nothing about the transaction: rate limits, and proxies without their server. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** An error code. The rest of an error's text may quote the events. */
const ERRCODE = /^[A-Za-z][A-Za-z0-9_.]{0,63}$/;

/** Judges an answer. A 200 without JSON is from a proxy or another program, which did not keep the events. */
export function outcomeOf(answer: PushAnswer): Outcome {
  const not = (sentence: string, more: { isToken?: boolean; isPath?: boolean; blames?: Blame } = {}): Outcome => ({
    kind: "not-taken",
    isToken: false,
    isPath: false,
    blames: "nothing",
    ...more,
    sentence,
  });
  if (!answer.heard) {
    const blames = answer.isTimeout || answer.isBroken ? "silence" : "nothing";
    return not(`The tenant cannot be given events: ${answer.why}.`, { blames });
  }
  const { status, body, isWhole } = answer;
  if (status === 200) {
    if (isWhole && (body.length === 0 || isJson(body))) return { kind: "taken" };
    return not("The tenant answers 200 without JSON: another program or a proxy listens at its URL.");
  }
  const errcode = isWhole ? stringAt(parsedObject(body), "errcode") : null;
  const word = errcode !== null && ERRCODE.test(errcode) ? `${status} ${errcode}` : String(status);
  if (status === 401 || status === 403) {
    const repair = "load the tenant's newest registration there (emissary tenant rotate makes a new one)";
    return not(`The tenant answers ${word}: it does not know our hs_token; ${repair}.`, { isToken: true });
  }
  if (status === 404 || status === 405) {
    return not(`The tenant answers ${word}: it does not listen for transactions at its URL.`, { isPath: true });
  }
  if (status >= 300 && status < 400) {
    return not(
      `The tenant answers ${word}, a redirect, which is not followed: give the tenant the URL that it leads to.`,
    );
  }
  if (status === 413) {
    return not(
      `The tenant, or a proxy before it, answers ${word}: the transaction is too large for it. It can be made smaller ` +
        "(emissary tenant set --max-transaction), or the proxy be told to take more (nginx: client_max_body_size).",
      { blames: "size" },
    );
  }
  return not(`The tenant answers ${word}.`, { blames: status >= 400 && !PASSING.has(status) ? "events" : "nothing" });
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
