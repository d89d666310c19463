import type { FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { ServerName } from "../../model/ids.ts";
import { Shares, type ShareBounds } from "../../concurrency/shares.ts";
import { tokenOf } from "../bearer.ts";
import { goneOf, nameCaller } from "../callers.ts";
import type { Handler } from "../server.ts";
import { isAliasLookUp, kindOf, serverAsked, type RequestKind } from "./kinds.ts";

export type CallerKind = "tenant" | "user" | "stranger";

export interface AdmissionParts {
  readonly own: ServerName;
  readonly clock: Clock;
  /** Returns the token's owner according to the homeserver; null if the token is unknown. */
  readonly userOf: (token: string) => Promise<string | null>;
  /** Answers an unknown token as the homeserver does. Returns false if the homeserver knows it after all. */
  readonly disown: (request: FastifyRequest, reply: FastifyReply) => Promise<boolean>;
  readonly refused: (who: CallerKind, kind: RequestKind) => void;
}

const WAIT_MS = 30_000;
/** Most requests that wait for the homeserver to name their token's owner. */
const MOST_UNKNOWN = 1_024;

function bounds(common: number, each: number, own: number): ShareBounds {
  return { common, each, own, waitingEach: 500, waiting: 2_000, wait: WAIT_MS };
}

/** Concurrent requests. Tenants are few, so each has reserved places. Users share theirs; strangers share a few. */
const PLACES: Readonly<Record<CallerKind, Readonly<Record<RequestKind, ShareBounds>>>> = {
  tenant: { short: bounds(192, 64, 8), wait: bounds(512, 128, 16), media: bounds(64, 16, 4) },
  user: { short: bounds(256, 32, 0), wait: bounds(4_096, 32, 0), media: bounds(128, 16, 0) },
  stranger: { short: bounds(32, 32, 0), wait: bounds(16, 16, 0), media: bounds(16, 16, 0) },
};

/** Places for look-ups of other servers' aliases without a token. Slow servers thus keep nobody from logging in. */
const LOOK_UPS = bounds(16, 16, 0);

/**
 * Admits requests. Each keeps its place until the last byte of the answer was taken, so a slow caller occupies only its
 * own. No other server is asked for an unknown token, except for an alias, which takes no token (spec, CS API).
 */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #shares: Readonly<Record<CallerKind, Readonly<Record<RequestKind, Shares>>>>;
  readonly #lookUps: Shares;
  #unknown = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    const make = (who: CallerKind, kind: RequestKind, bounds = PLACES[who][kind]): Shares =>
      new Shares("requests", bounds, parts.clock, () => parts.refused(who, kind));
    const of = (who: CallerKind): Readonly<Record<RequestKind, Shares>> => {
      return { short: make(who, "short"), wait: make(who, "wait"), media: make(who, "media") };
    };
    this.#lookUps = make("stranger", "short", LOOK_UPS);
    this.#shares = { tenant: of("tenant"), user: of("user"), stranger: of("stranger") };
  }

  /** Handles a tenant's request. @throws EmissaryError `limited` if there is no place; what the handler throws */
  tenant(id: string, handler: Handler, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    return this.#place("tenant", id, handler, request, reply);
  }

  /**
   * Handles requests of callers that are no tenant. Refuses unknown tokens as the homeserver does (disown.ts).
   * @param isForUsers whether callers with an unknown token are refused
   * @throws EmissaryError likewise; `missing-token` if a stranger's request needs another server; what `userOf` throws
   */
  other(handler: Handler, isForUsers = false): Handler {
    return async (request, reply) => {
      const token = tokenOf(request);
      const user = token === null ? null : await this.#userOf(token);
      if (user !== null) return this.#place("user", user, handler, request, reply);
      const url = request.raw.url ?? "/";
      const asksAnother = serverAsked(url, this.#parts.own) !== null;
      const isLookUp = token === null && asksAnother && request.method === "GET" && isAliasLookUp(url);
      if (token === null && asksAnother && !isLookUp) {
        throw new EmissaryError("missing-token", "You need a token to make this server ask another one.");
      }
      const disown: Handler = async () =>
        (await this.#parts.disown(request, reply)) ? reply : handler(request, reply);
      const deed = token !== null && (asksAnother || isForUsers) ? disown : handler;
      return this.#place("stranger", "", deed, request, reply, isLookUp ? this.#lookUps : undefined);
    };
  }

  async #userOf(token: string): Promise<string | null> {
    if (this.#unknown >= MOST_UNKNOWN) {
      this.#parts.refused("stranger", "short");
      throw new EmissaryError("limited", "Too many tokens are being checked; try again later.", {
        reason: "share",
        retryAfter: 1_000,
      });
    }
    this.#unknown += 1;
    try {
      return await this.#parts.userOf(token);
    } finally {
      this.#unknown -= 1;
    }
  }

  async #place(
    who: CallerKind,
    name: string,
    handler: Handler,
    request: FastifyRequest,
    reply: FastifyReply,
    shares = this.#shares[who][kindOf(request.raw.url ?? "/")],
  ): Promise<unknown> {
    const place = shares.tryTake(name) ?? (await shares.take(name, goneOf(reply)));
    nameCaller(reply, `${who}:${name}`);
    const { raw } = reply;
    let isDone = false;
    const leave = (): void => {
      if (isDone && (raw.closed || raw.destroyed)) place.free();
    };
    raw.once("close", leave);
    try {
      return await handler(request, reply);
    } finally {
      isDone = true;
      leave();
    }
  }
}
