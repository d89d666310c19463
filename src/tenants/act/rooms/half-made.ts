import type { LeaseDesk } from "../../../attendance/leases/desk.ts";
import type { Ledger } from "../../../ledger/ledger.ts";
import type { Recorder } from "../../../ledger/recorder.ts";
import type { Clock } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomId, type RoomAlias, type RoomId, type TenantId, type UserId } from "../../../model/ids.ts";
import { parsedObject, stringAt } from "../../../model/json.ts";
import type { Logger } from "../../../model/logger.ts";
import { Signal } from "../../../concurrency/signal.ts";
import { workUntil } from "../../../concurrency/worker.ts";
import type { Upstream } from "../../../http/upstream.ts";
import type { PersonaStore, RoomMaking, RoomMakings } from "../contracts.ts";
import { stateEvent } from "../events/state-event.ts";

export interface HalfMadeParts {
  readonly own: UserId;
  readonly store: RoomMakings;
  readonly upstream: Upstream;
  readonly recorder: Pick<Recorder, "observe">;
  readonly ledger: Pick<Ledger, "room">;
  readonly desk: Pick<LeaseDesk, "release" | "changed">;
  readonly personas: Pick<PersonaStore, "inRoom" | "exit">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Between two rounds, where something could not be undone. */
const AGAIN_MS = 10_000;

/**
 * Rooms that a tenant was not given, although the homeserver may have made them: it says no after half of the work, gives no answer, or we
 * end before the tenant has the room. It asks again, and finds nothing in its way: the alias is free, no lease is left, and the keeper
 * leaves a room that nobody holds.
 */
export class HalfMade {
  readonly #parts: HalfMadeParts;
  /** Those that are being made now. */
  readonly #underWay = new Set<number>();
  readonly #failed = new Signal();

  constructor(parts: HalfMadeParts) {
    this.#parts = parts;
  }

  /**
   * Makes a room. What came of it is undone where `work` fails, or says that there is none.
   * @param work is handed what notes the room's ID, and tells whether the tenant has the room
   */
  async making<T>(
    tenant: TenantId,
    alias: RoomAlias | null,
    work: (made: (roomId: RoomId) => Promise<void>) => Promise<{ readonly isWhole: boolean; readonly answer: T }>,
  ): Promise<T> {
    const { store } = this.#parts;
    // One that is there already is somebody's, and the homeserver refuses to make it.
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
      // Before it is answered: who is told of a failure asks again at once.
      if (!isKept) await this.#undoAll().catch(() => this.#failed.notify());
    }
  }

  /** Undoes what an earlier run left, and what could not be undone at once, until the signal aborts. */
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
    // Without an ID of ours the alias tells which room it is, if that bears the tenant's mark: somebody else may have made it meanwhile.
    const room = roomId ?? (pointed !== null && (await this.#isMadeFor(pointed, tenant)) ? pointed : null);
    if (alias !== null && room !== null && pointed === room) {
      const { status } = await upstream.answer("DELETE", pathOf(alias), null);
      if (status !== 200 && status !== 404) throw notTold(alias);
    }
    if (room !== null) {
      await this.#release(room, tenant);
      log.info("room.undone", { room, tenant });
    }
    await store.end(id);
  }

  async #release(roomId: RoomId, tenant: TenantId): Promise<void> {
    const { desk, personas, clock } = this.#parts;
    for (const { userId } of await personas.inRoom(tenant, roomId)) {
      await personas.exit(tenant, roomId, userId, clock.now());
    }
    await desk.release(roomId, { kind: "tenant", name: tenant });
    desk.changed.notify();
  }

  async #isMadeFor(roomId: RoomId, tenant: TenantId): Promise<boolean> {
    const { own, upstream, recorder, ledger } = this.#parts;
    await recorder.observe(() => stateEvent(upstream, roomId, "m.room.create", ""));
    await recorder.observe(() => stateEvent(upstream, roomId, "m.room.member", own));
    return (await ledger.room(roomId))?.createdFor === tenant;
  }

  /** Asked anew: what the directory said before the room was made is of no use. @throws EmissaryError where it cannot be told */
  async #pointed(alias: RoomAlias): Promise<RoomId | null> {
    const { status, body } = await this.#parts.upstream.answer("GET", pathOf(alias), null);
    // What is no alias points nowhere, and the homeserver refuses a room by it.
    if (status === 404 || status === 400) return null;
    const roomId = status === 200 ? stringAt(parsedObject(body), "room_id") : null;
    if (roomId === null || !isRoomId(roomId)) throw notTold(alias);
    return roomId;
  }
}

function notTold(alias: RoomAlias): EmissaryError {
  return new EmissaryError(
    "homeserver-error",
    `Where the alias ${alias} points cannot be told or changed now; try again.`,
  );
}

function pathOf(alias: RoomAlias): string {
  return `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
}
