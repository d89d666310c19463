import type { AliasRepair, AliasView, SweepProgress } from "./alias.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomAlias, RoomId } from "../model/ids.ts";
import { adviceFor, isSameRepair, repairFor, statusOf } from "./decide.ts";
import type { AliasKeeping } from "./keeping.ts";
import { holderOf, MAX_ALIASES, type AliasParts } from "./verifier.ts";

/** How long a repair waits for the pseudouser to join the alias's new room, milliseconds. */
const PRESENT_WAIT_MS = 60_000;

/** The operator's view of aliases, and actions on them. */
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

  /** @throws EmissaryError `bad-state` if aliases are not kept */
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
   * Checks the alias again and makes the repair that the operator saw.
   * @throws EmissaryError `bad-state` if the alias needs another repair now; refusals of policy or the homeserver
   */
  async repair(alias: RoomAlias, shown: AliasRepair, abort: AbortSignal): Promise<void> {
    this.#requireOn();
    const { store } = this.#parts;
    const { verifier, rate } = this.#keeping;
    await verifier.alone(alias, async () => {
      // An event does not retry a refused alias, so a refused alias keeps the state that the operator saw.
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
    // Somebody may have come back since the room was found dead.
    if (await directory.isResident(roomId)) throw changed(alias);
    await this.#audited("alias.remove", alias, roomId, () => directory.remove(alias));
    await desk.release(roomId, holderOf(alias));
    await store.forget(alias);
  }

  /**
   * Joins the new room first, as the homeserver requires. An alias cannot be moved atomically, so the intended room is
   * stored before the alias is removed. The next check completes it.
   */
  async #point(
    alias: RoomAlias,
    from: RoomId,
    { roomId: to, by }: Extract<AliasRepair, { act: "point" }>,
    abort: AbortSignal,
  ): Promise<void> {
    const { directory, desk, keeper, store, clock, own } = this.#parts;
    // Servers in the old room are likely to be in the new one.
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

/** Anybody who may write a tombstone can name any room in it. The alias moves only if the new room confirms it. */
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
