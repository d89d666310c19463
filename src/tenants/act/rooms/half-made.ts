import type { LeaseDesk } from "../../../attendance/leases/desk.ts";
import type { Ledger } from "../../../ledger/ledger.ts";
import type { Recorder } from "../../../ledger/recorder.ts";
import type { Clock } from "../../../model/clock.ts";
import { isRoomId, type RoomAlias, type RoomId, type TenantId, type UserId } from "../../../model/ids.ts";
import { parsedObject, stringAt } from "../../../model/json.ts";
import type { Logger } from "../../../model/logger.ts";
import { Signal } from "../../../concurrency/signal.ts";
import { workUntil } from "../../../concurrency/worker.ts";
import type { Upstream } from "../../../http/upstream.ts";
import type { SqlitePersonaStore } from "../../store/personas.ts";
import type { RoomMaking, SqliteMakingStore } from "../../store/room-makings.ts";
import { stateEvent, undetermined } from "../homeserver.ts";

export interface HalfMadeParts {
  readonly own: UserId;
  readonly store: SqliteMakingStore;
  readonly upstream: Upstream;
  readonly recorder: Pick<Recorder, "observe">;
  readonly ledger: Pick<Ledger, "room">;
  readonly desk: Pick<LeaseDesk, "release" | "changed">;
  readonly personas: Pick<SqlitePersonaStore, "inRoom" | "exit">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Pause after a failed undo, milliseconds. */
const AGAIN_MS = 10_000;

/**
 * Undoes rooms that a tenant was not given although the homeserver may have made them: it refused halfway, gave no
 * answer, or Emissary ended before the tenant had the room. When the tenant asks again, nothing is in its way: the
 * alias is free, no lease is left, and the keeper leaves the unused room.
 */
export class HalfMade {
  readonly #parts: HalfMadeParts;
  /** Rooms that are being made or undone now. */
  readonly #underWay = new Set<number>();
  readonly #failed = new Signal();

  constructor(parts: HalfMadeParts) {
    this.#parts = parts;
  }

  /**
   * Makes a room. Undoes it if `work` fails or says that the tenant does not have the room.
   * @param work gets a function that notes the room's ID; returns whether the tenant has the room
   */
  async making<T>(
    tenant: TenantId,
    alias: RoomAlias | null,
    work: (made: (roomId: RoomId) => Promise<void>) => Promise<{ readonly isWhole: boolean; readonly answer: T }>,
  ): Promise<T> {
    const { store } = this.#parts;
    // An existing alias belongs to another room, and the homeserver refuses the request.
    const isNew = alias !== null && (await this.#pointed(alias)) === null;
    const id = await store.begin(tenant, isNew ? alias : null);
    this.#underWay.add(id);
    let isKept = false;
    try {
      const { isWhole, answer } = await work((roomId) => store.made(id, roomId));
      if (isWhole) await store.end(id);
      isKept = isWhole;
      return answer;
    } finally {
      this.#underWay.delete(id);
      // Before the answer: a tenant that hears of a failure asks again at once.
      if (!isKept) await this.#undoAll().catch(() => this.#failed.notify());
    }
  }

  /** Undoes what an earlier run left and what failed at first, until the signal aborts. */
  run(abort: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    return workUntil(abort, {
      round: async () => {
        await this.#undoAll();
        return null;
      },
      signals: [this.#failed],
      failed: (error) => log.warn("rooms.not-undone", { error }),
      failedRest: AGAIN_MS,
      clock,
    });
  }

  async #undoAll(): Promise<void> {
    for (const one of await this.#parts.store.all()) {
      if (this.#underWay.has(one.id)) continue;
      this.#underWay.add(one.id);
      try {
        await this.#undo(one);
      } finally {
        this.#underWay.delete(one.id);
      }
    }
  }

  async #undo({ id, tenant, alias, roomId }: RoomMaking): Promise<void> {
    const { store, upstream, log } = this.#parts;
    const pointed = alias === null ? null : await this.#pointed(alias);
    // Without a noted ID the alias tells the room, if it bears the tenant's mark: others may have made it.
    const room = roomId ?? (pointed !== null && (await this.#isMadeFor(pointed, tenant)) ? pointed : null);
    if (alias !== null && room !== null && pointed === room) {
      const { status } = await upstream.answer("DELETE", pathOf(alias), null);
      if (status !== 200 && status !== 404) throw undetermined(`whether the alias ${alias} is removed`);
    }
    if (room !== null) {
      await this.#release(room, tenant);
      log.info("room.undone", { room, tenant });
    }
    await store.end(id);
  }

  async #release(roomId: RoomId, tenant: TenantId): Promise<void> {
    const { desk, personas, clock } = this.#parts;
    for (const { userId } of await personas.inRoom(tenant, roomId))
      await personas.exit(tenant, roomId, userId, clock.now());
    await desk.release(roomId, { kind: "tenant", name: tenant });
    desk.changed.notify();
  }

  async #isMadeFor(roomId: RoomId, tenant: TenantId): Promise<boolean> {
    await learnRoom(this.#parts, roomId);
    return (await this.#parts.ledger.room(roomId))?.createdFor === tenant;
  }

  /** Asks the homeserver anew: cached answers from before the room was made are of no use. */
  async #pointed(alias: RoomAlias): Promise<RoomId | null> {
    const { status, body } = await this.#parts.upstream.answer("GET", pathOf(alias), null);
    // An invalid alias points nowhere, and the homeserver refuses to make a room with it.
    if (status === 404 || status === 400) return null;
    const roomId = status === 200 ? stringAt(parsedObject(body), "room_id") : null;
    if (roomId === null || !isRoomId(roomId)) throw undetermined(`where the alias ${alias} points`);
    return roomId;
  }
}

/**
 * Records the room's tenant and the pseudouser's membership without waiting for the homeserver's transaction. The
 * former gives the tenant its right to a private room.
 */
export async function learnRoom(
  { recorder, upstream, own }: Pick<HalfMadeParts, "recorder" | "upstream" | "own">,
  roomId: RoomId,
): Promise<void> {
  await recorder.observe(() => stateEvent(upstream, roomId, "m.room.create", ""));
  await recorder.observe(() => stateEvent(upstream, roomId, "m.room.member", own));
}

function pathOf(alias: RoomAlias): string {
  return `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
}
