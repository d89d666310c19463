import { MARK } from "../../http/door/door.ts";
import { proxiedRoutes, type ProxiedRoute } from "../../peek/proxied.ts";
import { AT_ONCE, type Asker, type Reply } from "./asker.ts";

/** A client's request for one route, without a token: it has no effect. */
export interface Trial {
  readonly method: string;
  readonly path: string;
  readonly isOptional: boolean;
}

/** Returns a request for every route under each of its versions. */
export function trialsOf(server: string, routes: readonly ProxiedRoute[] = proxiedRoutes()): readonly Trial[] {
  return routes.flatMap(({ methods, path, under, isOptional }) =>
    methods.flatMap((method) =>
      under.map((prefix) => ({ method, path: `${prefix}${filled(path, server)}`, isOptional })),
    ),
  );
}

/** Fills a path's parameters with values that exist nowhere. */
export function filled(path: string, server: string): string {
  return path
    .replace(/:alias/g, encodeURIComponent(`#emissary-doctor:${server}`))
    .replace(/:room\w+/g, encodeURIComponent(`!emissary-doctor:${server}`))
    .replace(/:\w+/g, "emissary-doctor");
}

export function isOfGateway(reply: Reply): boolean {
  return reply.heard && reply.headers[MARK.name] === MARK.value;
}

/** Makes requests at the address that clients use, as clients do. */
export class PublicProbe {
  readonly #base: string;
  readonly #asker: Asker;

  constructor(base: string, asker: Asker) {
    this.#base = base;
    this.#asker = asker;
  }

  ask(method: string, path: string): Promise<Reply> {
    const body = method === "GET" ? {} : { body: {} };
    return this.#asker.ask(method, `${this.#base}${path}`, body);
  }

  /** Makes all requests, a few at once. Returns the answers in the same order. */
  async askAll<T extends { readonly method: string; readonly path: string }>(
    trials: readonly T[],
  ): Promise<readonly (readonly [T, Reply])[]> {
    const answers: (readonly [T, Reply])[] = [];
    for (let at = 0; at < trials.length; at += AT_ONCE) {
      const part = trials.slice(at, at + AT_ONCE);
      answers.push(
        ...(await Promise.all(part.map(async (trial) => [trial, await this.ask(trial.method, trial.path)] as const))),
      );
    }
    return answers;
  }
}
