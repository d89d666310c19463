import { Agent, request } from "undici";
import { MARK } from "../../gateways/door/door.ts";
import { proxiedRoutes, type ProxiedRoute } from "../../gateways/peek/proxied.ts";
import { parsedObject, stringAt, type JsonObject } from "../../model/json.ts";
import { silence } from "./homeserver-probe.ts";

const TIMEOUT_MS = 15_000;
/** Of an answer, what is looked at: a proxy's page of HTML says nothing more at its end. */
const MOST_BYTES = 256 * 1024;
const AT_ONCE = 6;

/** What came of one request at the public address. */
export type Heard =
  | {
      readonly heard: true;
      readonly status: number;
      /** Emissary's gateway answered, and nobody else. */
      readonly isGateway: boolean;
      readonly location: string | null;
      readonly errcode: string | null;
      readonly body: JsonObject;
    }
  | { readonly heard: false; readonly why: string; readonly isTls: boolean };

/** One route as a client would ask for it, without a token: nobody does anything for such a request. */
export interface Trial {
  readonly method: string;
  readonly path: string;
  readonly isOptional: boolean;
}

/** Every route under every one of its versions. */
export function trialsOf(server: string, routes: readonly ProxiedRoute[] = proxiedRoutes()): readonly Trial[] {
  return routes.flatMap(({ methods, path, under, isOptional }) =>
    methods.flatMap((method) =>
      under.map((prefix) => ({ method, path: `${prefix}${filled(path, server)}`, isOptional })),
    ),
  );
}

/** The path with something for each parameter that exists nowhere. */
export function filled(path: string, server: string): string {
  return path
    .replace(/:alias/g, encodeURIComponent(`#emissary-doctor:${server}`))
    .replace(/:room\w+/g, encodeURIComponent(`!emissary-doctor:${server}`))
    .replace(/:\w+/g, "emissary-doctor");
}

/** Asks at the address that clients use, as they do. */
export class PublicProbe {
  readonly #base: string;
  readonly #agent = new Agent({ connections: AT_ONCE, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });

  constructor(base: string) {
    this.#base = base;
  }

  async ask(method: string, path: string): Promise<Heard> {
    try {
      const { statusCode, headers, body } = await request(`${this.#base}${path}`, {
        method: method as "GET",
        dispatcher: this.#agent,
        ...(method === "GET" ? {} : { body: "{}", headers: { "content-type": "application/json" } }),
      });
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > MOST_BYTES) break;
        chunks.push(chunk);
      }
      const answer = parsedObject(Buffer.concat(chunks));
      return {
        heard: true,
        status: statusCode,
        isGateway: headers[MARK.name] === MARK.value,
        location: typeof headers["location"] === "string" ? headers["location"] : null,
        errcode: stringAt(answer, "errcode"),
        body: answer,
      };
    } catch (error) {
      return { heard: false, why: silence(error), isTls: isTlsFault(error) };
    }
  }

  /** All of them, a few at once; in their order. */
  async askAll<T extends { readonly method: string; readonly path: string }>(
    trials: readonly T[],
  ): Promise<readonly (readonly [T, Heard])[]> {
    const answers: (readonly [T, Heard])[] = [];
    for (let at = 0; at < trials.length; at += AT_ONCE) {
      const part = trials.slice(at, at + AT_ONCE);
      answers.push(
        ...(await Promise.all(part.map(async (trial) => [trial, await this.ask(trial.method, trial.path)] as const))),
      );
    }
    return answers;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** Node names what is wrong with a certificate by OpenSSL's words. */
function isTlsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_SSL|ERR_TLS|EPROTO/.test(code) || isTlsFault(error.cause);
}
