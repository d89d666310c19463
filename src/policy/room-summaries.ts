import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import { peekingUser, type Holder } from "../model/lease.ts";
import { SharedAnswers } from "../concurrency/shared-answers.ts";
import { isShown } from "./openness.ts";
import { Budgets } from "./budgets.ts";
import { firstAnswer } from "./first-answer.ts";
import type { RoomSummary } from "./question.ts";
import { RouteHealth } from "./route-health.ts";

/**
 * Looks at a room from outside. Null where the homeserver knows no such room or may not see it; rejects where it is unreachable, with
 * `timeout` where it says nothing.
 */
export interface SummarySource {
  look(roomId: RoomId, via: readonly ServerName[], abort?: AbortSignal): Promise<RoomSummary | null>;
}

/** A look is used again for this long: the desk judges before the lease and the keeper before the join, moments later. */
const KEPT = { ms: 30_000, entries: 500 } as const;
/** Looks under way in all, and through one server: a silent one keeps each waiting for half a minute. */
const AT_ONCE = { inAll: 32, throughOne: 4 } as const;
/** A route that has told nothing for so long is not waited for alone. */
const PATIENCE_MS = 1_500;
/** Looks that may wait for their turn. */
const WAITING = 1_000;
/** Looks that a holder may cause, whatever comes of them: asking costs the homeserver a request over federation each time. */
const BUDGETS = {
  peek: { joins: 300, per: 60 * 60 * 1000 },
  tenant: { joins: 3_000, per: 60 * 60 * 1000 },
} as const;

interface Waiting {
  readonly server: string;
  readonly go: () => void;
}

/** The looks at rooms from outside: shared by those who ask the same at once, and bounded in number. */
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
   * @param how `fresh` asks the homeserver, whatever was answered before. `asStranger` sees no more than somebody whom the room does not
   *   concern: the homeserver tells the pseudouser more than that, of rooms that it is in or invited to for others
   * @throws EmissaryError `limited` where the holder or all together look too often; else what the looker throws
   */
  async look(
    holder: Holder,
    roomId: RoomId,
    via: readonly ServerName[],
    { fresh = false, asStranger = false }: { readonly fresh?: boolean; readonly asStranger?: boolean } = {},
  ): Promise<RoomSummary | null> {
    // A fresh look is the operator's own: no holder causes it at will, so none pays for it.
    if (fresh) return this.#ask(null, roomId, via);
    if (!asStranger) return this.#answers.get([roomId, ...via].join(" "), () => this.#ask(holder, roomId, via));
    // With answers of their own: what is kept, and so not paid for twice, is not to tell a room that is hidden from one that is not there.
    return this.#answers.get(["stranger", roomId, ...via].join(" "), async () => {
      const look = await this.#ask(holder, roomId, via);
      return look !== null && isShown(look) ? look : null;
    });
  }

  async #ask(subject: Holder | null, roomId: RoomId, via: readonly ServerName[]): Promise<RoomSummary | null> {
    if (subject?.kind === "peek" || subject?.kind === "tenant") {
      const { kind, name } = subject;
      const subjects = [{ kind, name: kind === "peek" ? peekingUser(name) : name }];
      const shortage = this.#budgets.shortage(subjects);
      if (shortage !== null) throw tooMany(shortage.retryAfter, kind === "peek" ? "budget-user" : "budget-tenant");
      this.#budgets.spend(subjects);
    }
    return this.#through(roomId, via);
  }

  /** Finds out which of several routes leads to the room, where that is not known. Costs nobody anything, and fails in silence. */
  async probe(roomId: RoomId, via: readonly ServerName[]): Promise<void> {
    if (via.length < 2 || this.#health.leading(roomId, via) !== null || this.#health.wasAsked(roomId)) return;
    await this.#through(roomId, via).catch(() => undefined);
  }

  /** Each route is asked by itself: so it is known which one told, and which told nothing. */
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

  /** Also where it is over before its turn comes: then it is given back at once. */
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

/** Whoever asks named these servers, or was shown them. */
function nothingSaid(servers: readonly ServerName[]): EmissaryError {
  const sentence =
    servers.length === 0
      ? "The homeserver has not told in time what room this is. Ask again."
      : `No server that leads to this room has told in time what it is; nothing was heard of ${servers.join(", ")}. Ask again, or name others (via).`;
  return new EmissaryError("timeout", sentence, { reason: "silent-routes", told: sentence });
}
