import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { withLimit, type Clock } from "../model/clock.ts";
import { sentenceOf } from "../model/errors.ts";

/** Most bytes of an answer that we read: the expected one is `{}`. */
const ANSWER_BYTES = 64 * 1024;
/** Closes idle connections before the other side may: Node's own servers keep them for 5 s. */
const IDLE_MS = 4_000;

export interface Push {
  readonly method: "PUT" | "POST";
  readonly url: URL;
  readonly token: string;
  readonly body: string;
  readonly timeout: number;
  /** Certificates in PEM that replace the public authorities for this server; null for the public ones. */
  readonly ca: string | null;
}

export type PushAnswer =
  | { readonly heard: true; readonly status: number; readonly body: Buffer; readonly isWhole: boolean }
  /** `why` is a clause. `isBroken`: a connection ended before a whole answer. */
  | { readonly heard: false; readonly isTimeout: boolean; readonly isBroken: boolean; readonly why: string };

/** Sends JSON to tenants' servers. Does not follow redirects: the token is for the address that the operator named. */
export class Pusher {
  readonly #clock: Clock;
  readonly #http = new HttpAgent({ keepAlive: true, timeout: IDLE_MS });
  readonly #https = new HttpsAgent({ keepAlive: true, timeout: IDLE_MS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Never rejects. If the signal aborts, there is no answer. */
  push(push: Push, abort: AbortSignal): Promise<PushAnswer> {
    return withLimit(this.#clock, push.timeout, abort, async (limit): Promise<PushAnswer> => {
      const first = await this.#try(push, limit);
      // The other side closed an idle connection just as we took it, and never saw the request.
      const answer = "isStale" in first ? await this.#try(push, limit) : first;
      if (answer.heard || !limit.aborted) return answer;
      const isTimeout = !abort.aborted;
      const why = isTimeout ? `it gave no answer within ${push.timeout / 1000} s` : "we stopped waiting";
      return { heard: false, isTimeout, isBroken: false, why };
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async #try(push: Push, signal: AbortSignal): Promise<PushAnswer | (PushAnswer & { readonly isStale: true })> {
    const outgoing = this.#request(push, signal);
    try {
      const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.once("response", resolve);
        // Stays as long as the connection: an error after the answer's begin ends the answer, too.
        outgoing.on("error", reject);
        outgoing.end(push.body);
      });
      return await answerOf(incoming);
    } catch (error) {
      const code = codeOf(error);
      const isBroken = code === "ECONNRESET" || code === "EPIPE" || code.startsWith("HPE_");
      const unheard = { heard: false, isTimeout: false, isBroken, why: whyUnheard(error) } as const;
      return outgoing.reusedSocket && code === "ECONNRESET" ? { ...unheard, isStale: true } : unheard;
    }
  }

  #request({ method, url, token, body, ca }: Push, signal: AbortSignal): ClientRequest {
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "user-agent": "Emissary",
    };
    return url.protocol === "https:"
      ? httpsRequest(url, { method, headers, signal, agent: this.#https, ...(ca === null ? {} : { ca }) })
      : httpRequest(url, { method, headers, signal, agent: this.#http });
  }
}

async function answerOf(incoming: IncomingMessage): Promise<PushAnswer> {
  const status = incoming.statusCode ?? 0;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    // Leaving the loop closes the connection.
    if (size > ANSWER_BYTES) {
      return { heard: true, status, body: Buffer.concat(chunks).subarray(0, ANSWER_BYTES), isWhole: false };
    }
  }
  return { heard: true, status, body: Buffer.concat(chunks, size), isWhole: true };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const UNKNOWN_CA = "nobody whom we trust has signed its certificate (emissary tenant set --ca FILE names who may)";

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "it closed the connection early",
  EPIPE: "it closed the connection early",
  ENOTFOUND: "its host name is not known",
  EAI_AGAIN: "its host name cannot be looked up now",
  EHOSTUNREACH: "there is no way to its host",
  ETIMEDOUT: "its host does not answer",
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

function whyUnheard(error: unknown): string {
  const code = codeOf(error);
  // A parser's error quotes nothing; its code says what was expected.
  return REASONS[code] ?? (code.startsWith("HPE_") ? `it does not answer in HTTP (${code})` : sentenceOf(error));
}
