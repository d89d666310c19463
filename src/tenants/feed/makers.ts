import type { RoomEvent } from "../../model/event.ts";
import type { TenantId, UserId } from "../../model/ids.ts";
import type { Signal } from "../../concurrency/signal.ts";

/** A room that is being made for a tenant. */
export interface Making {
  /** The journal's newest number before the homeserver was asked. All events of the room come after it. */
  readonly from: number;
  /** Called when the tenant has its lease, or will not get one. */
  done(): void;
}

/**
 * Tenants with rooms being made. The homeserver sends a room's first events before it answers the request, when their
 * owner is not yet known. Kept in memory only: after a crash the room has no owner.
 */
export class Makers {
  readonly #own: UserId;
  readonly #news: Signal;
  readonly #under = new Map<TenantId, Set<Making>>();

  constructor(own: UserId, news: Signal) {
    this.#own = own;
    this.#news = news;
  }

  begin(tenant: TenantId, from: number): Making {
    const making: Making = {
      from,
      done: () => {
        const all = this.#under.get(tenant);
        if (all?.delete(making) !== true) return;
        if (all.size === 0) this.#under.delete(tenant);
        this.#news.notify();
      },
    };
    const all = this.#under.get(tenant) ?? new Set();
    this.#under.set(tenant, all.add(making));
    return making;
  }

  /** Whether an event that is not known to be the tenant's may be the first of a room that is being made for it. */
  isToWait(tenant: TenantId, seq: number, { type, sender }: RoomEvent): boolean {
    if (type !== "m.room.create" || sender !== this.#own) return false;
    const all = this.#under.get(tenant);
    return all !== undefined && [...all].some(({ from }) => seq > from);
  }
}
