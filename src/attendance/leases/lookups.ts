import { OURSELVES, type Asker } from "../../model/asker.ts";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import { serverOf, type RoomAlias } from "../../model/ids.ts";
import { Shares } from "../../concurrency/shares.ts";
import type { Aliases, RoomTarget } from "../../policy/pointers.ts";

interface AliasSource {
  resolve(alias: RoomAlias, abort: AbortSignal): Promise<RoomTarget | null>;
}

const WAIT_MS = 20_000;
/** Look-ups that one caller may await: a bridge that joins by alias does a few at once. */
const OF_ONE_ASKER = { common: 256, each: 8, own: 0, waitingEach: 200, waiting: 1_000, wait: WAIT_MS } as const;
/** Look-ups under way at one server, which may never answer, and in all. */
const AT_ONE_SERVER = { common: 64, each: 4, own: 0, waitingEach: 200, waiting: 1_000, wait: WAIT_MS } as const;

interface UnderWay {
  readonly answer: Promise<RoomTarget | null>;
  readonly abort: AbortController;
  askers: number;
}

/** Looks up aliases, a bounded number at once. A shared look-up ends when the last of its callers leaves. */
export class AliasLookups implements Aliases {
  readonly #source: AliasSource;
  readonly #askers: Shares;
  readonly #servers: Shares;
  readonly #underWay = new Map<RoomAlias, UnderWay>();

  /** @param refused called for each look-up that got no place */
  constructor(source: AliasSource, clock: Clock, refused: () => void = () => {}) {
    this.#source = source;
    this.#askers = new Shares("look-ups of aliases", OF_ONE_ASKER, clock, refused);
    this.#servers = new Shares("look-ups of aliases of that server", AT_ONE_SERVER, clock, refused);
  }

  /** @throws EmissaryError as the source does; `limited` if there are too many; `timeout` if the caller is gone */
  async resolve(alias: RoomAlias, { name, abort }: Asker = OURSELVES): Promise<RoomTarget | null> {
    return this.#askers.with(name, abort, () => this.#shared(alias, abort));
  }

  #shared(alias: RoomAlias, abort: AbortSignal): Promise<RoomTarget | null> {
    const known = this.#underWay.get(alias);
    const shared = known ?? this.#ask(alias);
    shared.askers += 1;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        shared.askers -= 1;
        if (shared.askers === 0) {
          this.#forget(alias, shared);
          shared.abort.abort();
        }
        reject(new EmissaryError("timeout", "Whoever asked for this alias has gone away."));
      };
      const settle = (): void => abort.removeEventListener("abort", leave);
      shared.answer.then(resolve, reject).finally(settle);
      if (abort.aborted) leave();
      else abort.addEventListener("abort", leave, { once: true });
    });
  }

  #ask(alias: RoomAlias): UnderWay {
    const abort = new AbortController();
    const ask = (): Promise<RoomTarget | null> => this.#source.resolve(alias, abort.signal);
    const shared: UnderWay = { answer: this.#servers.with(serverOf(alias), abort.signal, ask), abort, askers: 0 };
    this.#underWay.set(alias, shared);
    const forget = (): void => this.#forget(alias, shared);
    shared.answer.then(forget, forget);
    return shared;
  }

  #forget(alias: RoomAlias, shared: UnderWay): void {
    if (this.#underWay.get(alias) === shared) this.#underWay.delete(alias);
  }
}
