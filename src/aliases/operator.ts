import type { AliasRepair, AliasView, SweepProgress } from "./alias.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomAlias, RoomId } from "../model/ids.ts";
import { adviceFor, isSameRepair, repairFor, statusOf } from "./decide.ts";
import type { AliasKeeping, AliasParts } from "./keeping.ts";
import { holderOf, MAX_ALIASES } from "./verifier.ts";

/** How long a repair waits for the pseudouser to be in the room that the alias is to point to, milliseconds. */
const PRESENT_WAIT_MS = 60_000;

/** What the operator sees of aliases and does about them. */
export class AliasOperator {
  readonly #parts: AliasParts;
  readonly #keeping: AliasKeeping;

  constructor(parts: AliasParts, keeping: AliasKeeping) {
    this.#parts = parts;
    this.#keeping = keeping;
  }

  get isOn(): boolean {
    return this.#keeping.isOn;
  }

  get progress(): SweepProgress {
    return this.#keeping.progress;
  }

  /** @throws EmissaryError `bad-state` where aliases are not kept */
  sweepNow(): void {
    this.#requireOn();
    this.#keeping.sweepNow();
  }

  async page(after: RoomAlias | null, limit: number): Promise<readonly AliasView[]> {
    const lines = await this.#parts.store.page(after, limit);
    return lines.map((line) => {
      const { alias, roomId, checkedAt, emptySince } = line.known;
      const status = statusOf(line);
      const repair = repairFor(line, status);
      return { alias, roomId, ...status, checkedAt, emptySince, repair, advice: adviceFor(line, status) };
    });
  }

  /**
   * Looks once more where the alias points, and does what the operator was shown.
   * @throws EmissaryError `bad-state` where that is not what the alias needs now; what policy or the homeserver has against it
   */
  async repair(alias: RoomAlias, shown: AliasRepair, abort: AbortSignal): Promise<void> {
    this.#requireOn();
    const { store } = this.#parts;
    const { verifier, rate } = this.#keeping;
    await verifier.alone(alias, async () => {
      // What was refused is not asked for again by this, and so stands as it was shown.
      await verifier.look(alias, "event", rate);
      const line = await store.line(alias);
      const needed = line === null ? null : repairFor(line, statusOf(line));
      if (line === null || needed === null || !isSameRepair(needed, shown)) throw changed(alias);
      if (needed.act === "remove") await this.#remove(alias, line.known.roomId);
      else await this.#point(alias, line.known.roomId, needed, abort);
    });
  }

  async #remove(alias: RoomAlias, roomId: RoomId): Promise<void> {
    const { directory, desk, store } = this.#parts;
    // Somebody may have come back since it was found to be dead.
    if (await directory.isResident(roomId)) throw changed(alias);
    await this.#audited("alias.remove", alias, roomId, () => directory.remove(alias));
    await desk.release(roomId, holderOf(alias));
    await store.forget(alias);
  }

  /**
   * The pseudouser is there first: the homeserver points an alias only to a room that it is in. An alias cannot be moved in one step, so
   * what is intended is written before it is removed; the next look at the alias finishes it.
   */
  async #point(
    alias: RoomAlias,
    from: RoomId,
    { roomId: to, by }: Extract<AliasRepair, { act: "point" }>,
    abort: AbortSignal,
  ): Promise<void> {
    const { directory, desk, keeper, store, clock, own } = this.#parts;
    // Who was in the old room is likely to be in the new one.
    const { via } = await store.facts(alias, from, own);
    const lease = await desk.take({ roomId: to, holder: holderOf(alias), alias, via, ttl: null });
    try {
      await keeper.untilPresent(lease, PRESENT_WAIT_MS, abort);
      if (by === "replaced" && (await directory.predecessorOf(to)) !== from) throw notGenuine(alias, from, to);
    } catch (error) {
      await desk.release(to, holderOf(alias));
      throw error;
    }
    const line = await store.line(alias);
    if (line === null) throw changed(alias);
    await store.put({ ...line.known, movingTo: to }, MAX_ALIASES);
    await this.#audited("alias.set", alias, to, async () => {
      await directory.remove(alias);
      await directory.point(alias, to);
    });
    const now = clock.now();
    const kept = { state: "kept", code: null, reason: null, since: now, checkedAt: now, emptySince: null } as const;
    await store.put({ alias, roomId: to, ...kept, movingTo: null }, MAX_ALIASES);
    await desk.release(from, holderOf(alias));
  }

  async #audited(action: string, alias: RoomAlias, roomId: RoomId, deed: () => Promise<void>): Promise<void> {
    const { store, clock } = this.#parts;
    const note = (outcome: string): Promise<void> =>
      store.note({ actor: "operator", action, outcome, roomId, detail: { alias } }, clock.now());
    try {
      await deed();
    } catch (error) {
      await note(error instanceof EmissaryError ? (error.reason ?? error.code) : "failed");
      throw error;
    }
    await note("done");
  }

  #requireOn(): void {
    if (!this.#keeping.isOn)
      throw new EmissaryError("bad-state", "Aliases are not looked after: aliases.keep is false.");
  }
}

/** Whoever may write a tombstone can name any room in it: the alias goes where the new room says so, too. */
function notGenuine(alias: RoomAlias, from: RoomId, to: RoomId): EmissaryError {
  return new EmissaryError(
    "bad-state",
    `The room ${from} names ${to} as its replacement, and ${to} does not say that it replaces it: the alias ${alias} stays. ` +
      "If you mean that room, point the alias there in its settings.",
  );
}

function changed(alias: RoomAlias): EmissaryError {
  return new EmissaryError("bad-state", `The alias ${alias} does not need this any more: look at it again.`);
}
