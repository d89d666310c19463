import type { FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { ServerName } from "../../model/ids.ts";
import { Shares, type ShareBounds } from "../../concurrency/shares.ts";
import { tokenOf } from "../bearer.ts";
import { goneOf, nameCaller } from "../callers.ts";
import type { Handler } from "../server.ts";
import { isAliasLookUp, kindOf, REQUEST_KINDS, serverAsked, type RequestKind } from "./kinds.ts";

export type CallerKind = "tenant" | "user" | "stranger";

export interface AdmissionParts {
  /** Our server. */
  readonly own: ServerName;
  readonly clock: Clock;
  /** Whose a user's token is, as the homeserver says; null for nobody's. */
  readonly userOf: (token: string) => Promise<string | null>;
  /** Answers a request as the homeserver answers whoever has such a token; false where it knows the token after all. */
  readonly disown: (request: FastifyRequest, reply: FastifyReply) => Promise<boolean>;
  /** Told of each request that there was no place for. */
  readonly refused: (who: CallerKind, kind: RequestKind) => void;
}

const WAIT_MS = 30_000;
/** Requests that wait until the homeserver has told whose their token is. */
const MOST_UNKNOWN = 1_024;

function bounds(common: number, each: number, own: number): ShareBounds {
  return { common, each, own, waitingEach: 500, waiting: 2_000, wait: WAIT_MS };
}

/**
 * Places of requests under way. Tenants are few, so each has some that nobody else gets; users have all of theirs in common, and so have
 * strangers, who have few.
 */
const PLACES: Readonly<Record<CallerKind, Readonly<Record<RequestKind, ShareBounds>>>> = {
  tenant: { short: bounds(192, 64, 8), wait: bounds(512, 128, 16), media: bounds(64, 16, 4) },
  user: { short: bounds(256, 32, 0), wait: bounds(4_096, 32, 0), media: bounds(128, 16, 0) },
  stranger: { short: bounds(32, 32, 0), wait: bounds(16, 16, 0), media: bounds(16, 16, 0) },
};

/** Of look-ups of other servers' aliases without a token, which keep nobody from logging in however slow those servers are. */
const LOOK_UPS = bounds(16, 16, 0);

/**
 * Gives each request a place before anything is done for it, and takes it back when all is done and the last byte of the answer was
 * taken: who sends or reads slowly keeps no place but its own. Before a token is known nothing is asked of other servers for it, but for
 * an alias: that takes no token (spec, CS API), and clients send none (the Rust SDK).
 */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #shares: Readonly<Record<CallerKind, Readonly<Record<RequestKind, Shares>>>>;
  readonly #lookUps: Shares;
  #unknown = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    const of = (who: CallerKind): Readonly<Record<RequestKind, Shares>> => {
      const make = (kind: RequestKind): Shares =>
        new Shares("requests", PLACES[who][kind], parts.clock, () => parts.refused(who, kind));
      return { short: make("short"), wait: make("wait"), media: make("media") };
    };
    this.#lookUps = new Shares("requests", LOOK_UPS, parts.clock, () => parts.refused("stranger", "short"));
    this.#shares = { tenant: of("tenant"), user: of("user"), stranger: of("stranger") };
  }

  /** Places that are taken. */
  held(who: CallerKind): number {
    const lookUps = who === "stranger" ? this.#lookUps.held : 0;
    return REQUEST_KINDS.reduce((sum, kind) => sum + this.#shares[who][kind].held, lookUps);
  }

  /** @throws EmissaryError `limited` where there is no place; what the handler throws */
  tenant(id: string, handler: Handler, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    return this.#place("tenant", id, handler, request, reply);
  }

  /**
   * For whoever is no tenant. A token that nobody has is refused in the homeserver's own words: only it knows whether its user is to log in
   * again and keeps all (`soft_logout`), or is logged out for good.
   * @param isForUsers whether it is nothing for those whose token is nobody's
   * @throws EmissaryError likewise; `missing-token` where another server would have to be asked for a stranger; why the homeserver does
   *   not tell whose a token is
   */
  other(handler: Handler, isForUsers = false): Handler {
    return async (request, reply) => {
      const token = tokenOf(request);
      const user = token === null ? null : await this.#userOf(token);
      if (user !== null) return this.#place("user", user, handler, request, reply);
      const url = request.raw.url ?? "/";
      const asksAnother = serverAsked(url, this.#parts.own) !== null;
      if (token === null && asksAnother) {
        if (request.method === "GET" && isAliasLookUp(url)) {
          return this.#place("stranger", "", handler, request, reply, this.#lookUps);
        }
        throw new EmissaryError("missing-token", "A token is needed to have another server asked.");
      }
      if (token !== null && (asksAnother || isForUsers)) {
        const disown: Handler = async () =>
          (await this.#parts.disown(request, reply)) ? reply : handler(request, reply);
        return this.#place("stranger", "", disown, request, reply);
      }
      return this.#place("stranger", "", handler, request, reply);
    };
  }

  async #userOf(token: string): Promise<string | null> {
    if (this.#unknown >= MOST_UNKNOWN) {
      this.#parts.refused("stranger", "short");
      throw new EmissaryError("limited", "Too many tokens are asked about; try again later.", {
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
