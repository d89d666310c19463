import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import { peekingUser, type Holder } from "../model/lease.ts";
import { SharedAnswers } from "../concurrency/shared-answers.ts";
import { isShown } from "./openness.ts";
import { Budgets } from "./budgets.ts";
import { firstAnswer } from "./first-answer.ts";
import type { HomeserverDirectory } from "./homeserver-directory.ts";
import type { RoomSummary } from "./question.ts";
import { RouteHealth } from "./route-health.ts";

export type SummarySource = Pick<HomeserverDirectory, "look">;

/** How long a summary is cached. The desk judges before the lease, and the keeper before the join, moments later. */
const KEPT = { ms: 30_000, entries: 500 } as const;
/** Concurrent requests in all, and through one server. A silent server keeps each waiting for half a minute. */
const AT_ONCE = { inAll: 32, throughOne: 4 } as const;
/** After this time without an answer, the next route is asked as well. */
const PATIENCE_MS = 1_500;
/** Requests that may be queued. */
const WAITING = 1_000;
/** Requests that a holder may cause, whatever the result: each costs the homeserver a request over federation. */
const BUDGETS = { peek: { joins: 300, per: 60 * 60 * 1000 }, tenant: { joins: 3_000, per: 60 * 60 * 1000 } } as const;

interface Waiting {
  readonly server: string;
  readonly go: () => void;
}

/** Summaries of rooms from outside. Concurrent callers share a request, and the number of requests is bounded. */
export class RoomSummaries {
  readonly #looker: SummarySource;
  readonly #answers: SharedAnswers<RoomSummary>;
  readonly #budgets: Budgets<keyof typeof BUDGETS>;
  readonly #running = new Map<string, number>();
  #inAll = 0;
  readonly #waiting: Waiting[] = [];
  readonly #health: RouteHealth;
  readonly #clock: Clock;

  constructor(looker: SummarySource, clock: Clock, health = new RouteHealth(clock)) {
    this.#looker = looker;
    this.#health = health;
    this.#clock = clock;
    this.#answers = new SharedAnswers(clock, KEPT);
    this.#budgets = new Budgets(BUDGETS, clock);
  }

  /**
   * @param how `fresh` asks the homeserver, past the cache. `asStranger` shows no more than a stranger may see: the
   *   homeserver tells the pseudouser more about rooms that it is in or invited to for others
   * @throws EmissaryError `limited` if the holder, or all together, ask too often; else what the source throws
   */
  async look(
    holder: Holder,
    roomId: RoomId,
    via: readonly ServerName[],
    { fresh = false, asStranger = false }: { readonly fresh?: boolean; readonly asStranger?: boolean } = {},
  ): Promise<RoomSummary | null> {
    // Only the operator asks for fresh summaries. No holder can cause them at will, so none pays.
    if (fresh) return this.#ask(null, roomId, via);
    if (!asStranger) return this.#answers.get([roomId, ...via].join(" "), () => this.#ask(holder, roomId, via));
    // Strangers have their own cache: a free answer from a shared one would tell a hidden room from a missing one.
    return this.#answers.get(["stranger", roomId, ...via].join(" "), async () => {
      const look = await this.#ask(holder, roomId, via);
      return look !== null && isShown(look) ? look : null;
    });
  }

  async #ask(subject: Holder | null, roomId: RoomId, via: readonly ServerName[]): Promise<RoomSummary | null> {
    if (subject?.kind === "peek" || subject?.kind === "tenant") {
      const { kind, name } = subject;
      const subjects = [{ kind, name: kind === "peek" ? peekingUser(name) : name }];
      const shortage = this.#budgets.pay(subjects);
      if (shortage !== null) throw tooMany(shortage.retryAfter, kind === "peek" ? "budget-user" : "budget-tenant");
    }
    return this.#through(roomId, via);
  }

  /** Finds out which of several routes leads to the room, if unknown. Costs no budget, and ignores failures. */
  async probe(roomId: RoomId, via: readonly ServerName[]): Promise<void> {
    if (via.length < 2 || this.#health.leading(roomId, via) !== null || this.#health.wasAsked(roomId)) return;
    await this.#through(roomId, via).catch(() => undefined);
  }

  /** Asks each route by itself, to learn which one answers and which are silent. */
  async #through(roomId: RoomId, via: readonly ServerName[]): Promise<RoomSummary | null> {
    const routes = this.#health.sorted(roomId, via);
    const asked = routes.length === 0 ? [[]] : routes.map((server) => [server]);
    const { found, by, silent, failure } = await firstAnswer(
      asked.map((route) => (over: AbortSignal) => this.#inTurn(roomId, route, over)),
      PATIENCE_MS,
      this.#clock,
    );
    if (found === null) this.#health.asked(roomId);
    const unheard = silent.flatMap((nr) => routes[nr] ?? []);
    for (const server of unheard) this.#health.saidNothing(server);
    const leading = by === null ? undefined : routes[by];
    if (leading !== undefined) this.#health.led(roomId, leading);
    if (found === null && isTimeout(failure)) throw nothingSaid(unheard);
    if (found === null && failure !== null) throw failure;
    return found;
  }

  async #inTurn(roomId: RoomId, route: readonly ServerName[], over: AbortSignal): Promise<RoomSummary | null> {
    const server = route[0] ?? "";
    await this.#turn(server, over);
    try {
      return over.aborted ? null : await this.#looker.look(roomId, route, over);
    } finally {
      this.#end(server);
    }
  }

  /** Waits for a slot. If the request is over before that, gives the slot back at once. */
  async #turn(server: string, over: AbortSignal): Promise<void> {
    if (this.#isFree(server)) {
      this.#begin(server);
      return;
    }
    if (this.#waiting.length >= WAITING) throw tooMany(1_000, "busy");
    await new Promise<void>((resolve) => {
      const waiting = { server, go: resolve };
      const leave = (): void => {
        const at = this.#waiting.indexOf(waiting);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        this.#begin(server);
        resolve();
      };
      this.#waiting.push(waiting);
      over.addEventListener("abort", leave, { once: true });
    });
  }

  #isFree(server: string): boolean {
    return this.#inAll < AT_ONCE.inAll && (this.#running.get(server) ?? 0) < AT_ONCE.throughOne;
  }

  #begin(server: string): void {
    this.#inAll += 1;
    this.#running.set(server, (this.#running.get(server) ?? 0) + 1);
  }

  #end(server: string): void {
    this.#inAll -= 1;
    const left = (this.#running.get(server) ?? 1) - 1;
    if (left === 0) this.#running.delete(server);
    else this.#running.set(server, left);
    const next = this.#waiting.findIndex((waiting) => this.#isFree(waiting.server));
    const [waiting] = next < 0 ? [] : this.#waiting.splice(next, 1);
    if (waiting === undefined) return;
    this.#begin(waiting.server);
    waiting.go();
  }
}

function tooMany(retryAfter: number, reason: string): EmissaryError {
  return new EmissaryError("limited", "Too many rooms are looked at; ask again later.", { retryAfter, reason });
}

function isTimeout(failure: unknown): boolean {
  return failure instanceof EmissaryError && failure.code === "timeout";
}

/** The caller named these servers, or was shown them. */
function nothingSaid(servers: readonly ServerName[]): EmissaryError {
  const sentence =
    servers.length === 0
      ? "The homeserver has not told in time what room this is. Ask again."
      : `No server that leads to this room has told in time what it is; nothing was heard of ${servers.join(", ")}. Ask again, or name others (via).`;
  return new EmissaryError("timeout", sentence, { reason: "silent-routes", told: sentence });
}
