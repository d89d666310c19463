import type { LeaseStore } from "../../attendance/store/leases.ts";
import type { Feed } from "../feed/feed.ts";
import type { Clock, Random } from "../../model/clock.ts";
import type { DeliveryReport, Replayed, ReplayFrom, Stuck } from "./delivery.ts";
import { isUserId, type EventId, type RoomId, type TenantId, type UserId } from "../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { Logger } from "../../model/logger.ts";
import type { Signal } from "../../concurrency/signal.ts";
import type { Tenant } from "../../model/tenant.ts";
import { workUntil } from "../../concurrency/worker.ts";
import type { Pusher } from "../../http/push.ts";
import type { PingOutcome, TenantPinger, Tenants } from "../../policy/tenants.ts";
import { CommitQueue } from "./commit-queue.ts";
import type { DeliveryStore } from "./contracts.ts";
import { Courier } from "./courier.ts";
import { EPHEMERAL_AT_ONCE, forTenant } from "./ephemeral.ts";
import { AppserviceClient, pingTenant } from "./appservice-client.ts";
import { DeliveryState } from "./delivery-state.ts";

export type Outcome = "delivered" | "failed" | "ephemeral-dropped";

export interface CouriersParts {
  readonly tenants: Pick<Tenants, "all" | "byId" | "hsTokenOf" | "changed" | "isPersona">;
  readonly feed: Feed;
  readonly store: DeliveryStore;
  /** The name of this opening of the database. */
  readonly opening: string;
  readonly leases: Pick<LeaseStore, "find">;
  readonly pusher: Pick<Pusher, "push">;
  /** Fires when the journal has grown. */
  readonly committed: Signal;
  readonly own: UserId;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly count: (tenant: TenantId, what: Outcome, by: number) => void;
  /** Drops a removed tenant's counters. */
  readonly forget: (tenant: TenantId) => void;
}

interface Working {
  readonly courier: Courier;
  /** When it changes, the courier is replaced. */
  readonly key: string;
}

/** One courier for each tenant that has a URL and is not paused; none waits for another. */
export class Couriers implements TenantPinger {
  readonly #parts: CouriersParts;
  readonly #commits: CommitQueue;
  readonly #working = new Map<TenantId, Working>();
  readonly #states = new Map<TenantId, DeliveryState>();
  readonly #abort = new AbortController();
  /** Serializes changes of the set of couriers. */
  readonly #mutex = new KeyedMutex();
  #loops: readonly Promise<void>[] = [];

  constructor(parts: CouriersParts) {
    this.#parts = parts;
    this.#commits = new CommitQueue(parts.store, parts.clock, parts.log);
  }

  start(): void {
    const { tenants, committed, clock, log } = this.#parts;
    const failed = (error: unknown): void => log.error("tenant.delivery-broken", { error });
    // Keeps the couriers in step with the tenants, and wakes them when the journal grows.
    const follow = async (): Promise<null> => {
      await this.#mutex.run(null, () => this.#adjust());
      return null;
    };
    const relay = async (): Promise<null> => {
      for (const { courier } of this.#working.values()) courier.stir();
      return null;
    };
    this.#loops = [
      workUntil(this.#abort.signal, { round: follow, signals: [tenants.changed], failed, clock }),
      workUntil(this.#abort.signal, { round: relay, signals: [committed], failed, clock }),
    ];
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#loops);
    await this.#mutex.idle();
    await Promise.all([...this.#working.values()].map(({ courier }) => courier.stop()));
    this.#working.clear();
    await this.#commits.close();
  }

  /** Null for a tenant without a URL. */
  async report(tenant: Tenant): Promise<DeliveryReport | null> {
    if (tenant.url === null) return null;
    const { store } = this.#parts;
    const state = this.#states.get(tenant.id);
    const cursor = state?.cursor ?? (await store.place(tenant.id))?.cursor;
    if (cursor === undefined) return null;
    const { events, oldestAt } = await store.lag(cursor);
    const underWay = state?.underWay ?? null;
    return {
      lag: events,
      oldestAt: underWay === null ? oldestAt : (await store.lag(underWay - 1)).oldestAt,
      lastSuccessAt: state?.lastSuccessAt ?? null,
      lastFailure: state?.lastFailure ?? null,
      isFailing: (state?.tries ?? 0) > 0,
      stuck: state?.stuck ?? null,
    };
  }

  /** Delivers everything since `from` to the tenant again; null if nothing is delivered to it. */
  replay(tenant: Tenant, from: ReplayFrom): Promise<Replayed | null> {
    return this.#mutex.run(null, async () => {
      await this.#dismiss(tenant.id);
      // The replay is measured from the stored cursor, so pending steps go first.
      await this.#commits.flush();
      const replayed = await this.#parts.store.replay(tenant.id, from, this.#parts.clock.now());
      const state = this.#states.get(tenant.id);
      if (state !== undefined) state.replayed();
      if (!this.#abort.signal.aborted) await this.#adjust();
      return replayed;
    });
  }

  /** Skips the event that the tenant is stuck at, for good; null if it is not stuck at that event. */
  skip(tenant: Tenant, eventId: EventId): Promise<Stuck | null> {
    return this.#mutex.run(null, async () => {
      const state = this.#states.get(tenant.id);
      const stuck = state?.stuck ?? null;
      if (state === undefined || stuck?.eventId !== eventId) return null;
      await this.#dismiss(tenant.id);
      await this.#commits.flush();
      const isSkipped = await this.#parts.store.skip(tenant.id, stuck, this.#parts.clock.now());
      if (isSkipped) state.skipped();
      if (!this.#abort.signal.aborted) await this.#adjust();
      return isSkipped ? stuck : null;
    });
  }

  async ping(tenant: Tenant, transactionId: string | null): Promise<PingOutcome> {
    const { pusher, clock, tenants } = this.#parts;
    const parts = { pusher, clock, hsToken: tenants.hsTokenOf(tenant.id) };
    const outcome = await pingTenant(tenant, transactionId, parts, this.#abort.signal);
    if (outcome.ok) this.#working.get(tenant.id)?.courier.hurry();
    return outcome;
  }

  /** Offers an ephemeral event to a tenant, if it wants these. */
  offer(tenant: TenantId, event: JsonObject): void {
    if (this.#parts.tenants.byId(tenant)?.ephemeral === true) this.#working.get(tenant)?.courier.offer(event);
  }

  /** Hands ephemeral events to tenants that want them and have a live lease in the room. Returns at once. */
  ephemeral(events: readonly JsonValue[]): void {
    const wanting = this.#parts.tenants.all().filter(({ id, ephemeral }) => ephemeral && this.#working.has(id));
    if (wanting.length > 0) void this.#hand(events.slice(0, EPHEMERAL_AT_ONCE), wanting);
  }

  async #hand(events: readonly JsonValue[], wanting: readonly Tenant[]): Promise<void> {
    const { own, leases, tenants, log } = this.#parts;
    try {
      for (const given of events) {
        const roomId = isJsonObject(given) ? (stringAt(given, "room_id") as RoomId | null) : null;
        if (roomId === null) continue;
        for (const tenant of wanting) {
          const event = forTenant(given, own, (user) => isUserId(user) && tenants.isPersona(tenant, user));
          if (event === null || (await leases.find(roomId, { kind: "tenant", name: tenant.id })) === null) continue;
          this.#working.get(tenant.id)?.courier.offer(event);
        }
      }
    } catch (error) {
      log.error("tenant.delivery-broken", { error });
    }
  }

  async #adjust(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const { tenants } = this.#parts;
    const wanted = new Map<TenantId, { readonly tenant: Tenant; readonly key: string }>();
    for (const tenant of tenants.all()) {
      const key = JSON.stringify([tenant.url, tenant.ca, tenants.hsTokenOf(tenant.id), tenant.createdAt]);
      if (tenant.url !== null && tenant.pausedAt === null) wanted.set(tenant.id, { tenant, key });
    }
    for (const [id, { key }] of [...this.#working]) {
      if (wanted.get(id)?.key !== key) await this.#dismiss(id);
    }
    for (const id of this.#states.keys()) {
      if (tenants.byId(id) !== null) continue;
      this.#states.delete(id);
      this.#parts.forget(id);
    }
    const idle = [...wanted].filter(([id]) => !this.#working.has(id));
    // A courier begins at its predecessor's stored position.
    if (idle.length > 0) await this.#commits.flush();
    for (const [id, { tenant, key }] of idle) {
      this.#working.set(id, { key, courier: this.#engage(tenant) });
    }
  }

  async #dismiss(id: TenantId): Promise<void> {
    const working = this.#working.get(id);
    this.#working.delete(id);
    await working?.courier.stop();
  }

  #engage(tenant: Tenant): Courier {
    const { id } = tenant;
    const { tenants, pusher, feed, store, opening, clock, random, log, count } = this.#parts;
    const state = this.#states.get(id) ?? new DeliveryState(id, log);
    this.#states.set(id, state);
    const courier = new Courier({
      tenant: () => tenants.byId(id),
      state,
      appservice: new AppserviceClient(pusher, tenant, tenants.hsTokenOf(id)),
      feed,
      store,
      opening,
      commits: this.#commits,
      clock,
      random,
      log,
      count: (what, by) => count(id, what, by),
    });
    courier.start();
    return courier;
  }
}
