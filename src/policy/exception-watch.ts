import type { Clock } from "../model/clock.ts";
import { sentenceOf } from "../model/errors.ts";
import { isRoomAlias, type RoomAlias, type RoomId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import { Span } from "../concurrency/over.ts";
import { workUntil } from "../concurrency/worker.ts";
import { unpinned } from "./grants.ts";
import type { Pointers, Pointing } from "./pointers.ts";
import type { Rules } from "./rules.ts";
import type { Tenants } from "./tenants.ts";

export interface ExceptionWatchParts {
  readonly rules: Rules;
  readonly pointers: Pointers;
  readonly tenants: Pick<Tenants, "all">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often each alias is looked up, and retried if it points nowhere yet. */
const LOOK_MS = 10 * 60_000;
const UNKNOWN_MS = 60_000;
/** How long the start waits for the directory. */
const START_MS = 10_000;

/** Pins aliases of configured exceptions to rooms. Has rooms judged again if such an alias is pointed elsewhere. */
export class ExceptionWatch {
  readonly #parts: ExceptionWatchParts;
  readonly #last = new Map<RoomAlias, Pointing>();
  /** Aliases that stand for no room yet: when each was looked up. */
  readonly #asked = new Map<RoomAlias, number>();

  constructor(parts: ExceptionWatchParts) {
    this.#parts = parts;
  }

  /** Runs before anything is judged. An alias that cannot be looked up in time counts for nothing until it can. */
  async start(abort: AbortSignal): Promise<void> {
    this.#tellUnpinned();
    const over = new Span(abort);
    await Promise.race([this.#round(over.signal), this.#parts.clock.sleep(START_MS, over.signal)]);
    over.end();
  }

  run(abort: AbortSignal): Promise<void> {
    const { rules, clock, log } = this.#parts;
    return workUntil(abort, {
      round: async () => {
        await this.#round(abort);
        return this.#asked.size > 0 ? UNKNOWN_MS : LOOK_MS;
      },
      signals: [rules.changed],
      failed: (error) => log.error("policy.exceptions-failed", { error }),
      failedRest: UNKNOWN_MS,
      clock,
    });
  }

  async #round(abort: AbortSignal): Promise<void> {
    const { rules } = this.#parts;
    const exceptions = rules.book.exceptionsByAlias();
    for (const known of [...this.#last.keys(), ...this.#asked.keys()]) {
      if (exceptions.some(({ entity }) => entity === known)) continue;
      this.#last.delete(known);
      this.#asked.delete(known);
    }
    for (const { entity, pin, source } of exceptions) {
      if (abort.aborted) return;
      if (!isRoomAlias(entity)) continue;
      if (pin !== undefined) await this.#compare(entity, pin);
      else if (source === "config") await this.#pin(entity);
    }
  }

  /** The configuration is the operator's word. The first successful look-up is the closest to when it was written. */
  async #pin(alias: RoomAlias): Promise<void> {
    const { rules, pointers, clock, log } = this.#parts;
    const asked = this.#asked.get(alias);
    if (asked !== undefined && Math.abs(clock.now() - asked) < UNKNOWN_MS) return;
    const tell = (cause: string): void => {
      if (asked === undefined) log.warn("policy.exception-unresolved", { alias, cause });
      this.#asked.set(alias, clock.now());
    };
    try {
      const found = await pointers.resolve(alias);
      if (found === null) {
        tell("it points to no room");
        return;
      }
      await rules.pinConfigured(alias, found.roomId);
      this.#asked.delete(alias);
      log.info("policy.exception-pinned", { alias, room: found.roomId });
    } catch (error) {
      tell(sentenceOf(error));
    }
  }

  async #compare(alias: RoomAlias, pin: RoomId): Promise<void> {
    const { rules, pointers, log } = this.#parts;
    const pointing = await pointers.pointing(alias, pin, false);
    const last = this.#last.get(alias);
    if (pointing === "unknown" || pointing === last) return;
    this.#last.set(alias, pointing);
    if (pointing === "elsewhere") {
      log.warn("policy.exception-moved", { alias, room: pin, to: pointers.seen(alias)?.roomId ?? null });
    }
    if (last !== undefined) rules.changed.notify();
  }

  /** Reports grants and exceptions from before their rooms were recorded. */
  #tellUnpinned(): void {
    const { rules, tenants, log } = this.#parts;
    for (const { entity, pin, source } of rules.book.exceptionsByAlias()) {
      if (pin === undefined && source === "operator") log.warn("policy.exception-unpinned", { alias: entity });
    }
    for (const tenant of tenants.all()) {
      const aliases = [...new Set(tenant.grants.flatMap((grant) => unpinned(grant)))];
      if (aliases.length > 0) log.warn("tenant.grant-unpinned", { tenant: tenant.id, aliases: aliases.join(" ") });
    }
  }
}
