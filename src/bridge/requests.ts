/** A JSON object of a Matrix answer or body. */
export type Json = Record<string, unknown>;

/** An error answer (spec, CS API, "Standard error response"), with the property names of matrix-bot-sdk's error. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly statusCode: number;
  readonly errcode: string;
  /** The sentence alone. */
  readonly error: string;
  readonly retryAfterMs: number | null;

  constructor(statusCode: number, { errcode, error, retry_after_ms: retryAfter }: Json) {
    const code = typeof errcode === "string" ? errcode : "M_UNKNOWN";
    const sentence = typeof error === "string" ? error : `the gateway answered ${statusCode}`;
    super(`${code}: ${sentence}`);
    this.statusCode = statusCode;
    this.errcode = code;
    this.error = sentence;
    this.retryAfterMs = typeof retryAfter === "number" ? retryAfter : null;
  }
}

export interface GatewayOptions {
  /** URL of Emissary's gateway, for example `http://127.0.0.1:9010`. */
  readonly url: string;
  /** The tenant's `as_token` from its registration. */
  readonly token: string;
  /** The tenant's user to act as; its sender by default. */
  readonly userId?: string;
}

export interface Ask {
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
  readonly raw?: { readonly body: Uint8Array<ArrayBuffer> | string; readonly type: string };
  readonly signal?: AbortSignal;
}

/** A minimal client of the gateway on the runtime's own fetch. */
export class Gateway {
  readonly userId: string | null;
  readonly #url: string;
  readonly #token: string;
  readonly #start = crypto.randomUUID();
  #sent = 0;

  constructor({ url, token, userId }: GatewayOptions) {
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.userId = userId ?? null;
  }

  /** Returns an ID that no other client has used. Sends repeated with the same ID are one event. */
  transactionId(): string {
    this.#sent += 1;
    return `${this.#start}.${this.#sent}`;
  }

  /**
   * @param path segments below `/_matrix/`, each encoded here
   * @throws ServerError for an error answer; fetch's error if there is no answer
   */
  async ask(method: "GET" | "PUT" | "POST", path: readonly string[], ask: Ask = {}): Promise<Json> {
    const url = new URL(`${this.#url}/_matrix/${path.map(encodeURIComponent).join("/")}`);
    if (this.userId !== null) url.searchParams.set("user_id", this.userId);
    for (const [name, value = []] of Object.entries(ask.query ?? {})) {
      for (const one of [value].flat()) url.searchParams.append(name, one);
    }
    const { raw } = ask;
    const body = raw === undefined ? (method === "GET" ? null : JSON.stringify(ask.body ?? {})) : raw.body;
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === null ? {} : { "content-type": raw?.type ?? "application/json" }),
      },
      body,
      ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    });
    const answer: unknown = await response.json().catch(() => ({}));
    const given = typeof answer === "object" && answer !== null ? (answer as Json) : {};
    if (!response.ok) throw new ServerError(response.status, given);
    return given;
  }
}
