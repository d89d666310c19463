import type { LeaseStore } from "../../attendance/store/leases.ts";
import type { DeliveryStore, Replayed, ReplayFrom, Stuck } from "../store/deliveries.ts";
import { isUserId, type EventId, type RoomId, type TenantId, type UserId } from "../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { Signal } from "../../concurrency/signal.ts";
import type { Tenant } from "../../model/tenant.ts";
import { workUntil } from "../../concurrency/worker.ts";
import type { Pusher } from "../../http/push.ts";
import type { PingOutcome, TenantPinger, Tenants } from "../../policy/tenants.ts";
import { CommitQueue } from "./commit-queue.ts";
import { Courier, type CourierParts, type DeliveryCount } from "./courier.ts";
import { EPHEMERAL_AT_ONCE, forTenant } from "./ephemeral.ts";
import { AppserviceClient } from "./appservice-client.ts";
import { DeliveryState, type DeliveryReport } from "./delivery-state.ts";

export interface CouriersParts extends Pick<CourierParts, "feed" | "opening" | "clock" | "random" | "log"> {
  readonly tenants: Pick<Tenants, "all" | "byId" | "hsTokenOf" | "changed" | "isPersona">;
  readonly store: Pick<DeliveryStore, "place" | "write" | "replay" | "skip" | "lag">;
  readonly leases: Pick<LeaseStore, "find">;
  readonly pusher: Pick<Pusher, "push">;
  readonly committed: Signal;
  readonly own: UserId;
  readonly count: (tenant: TenantId, what: DeliveryCount, by: number) => void;
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
  readonly #failed = (error: unknown): void => this.#parts.log.error("tenant.delivery-broken", { error });

  constructor(parts: CouriersParts) {
    this.#parts = parts;
    this.#commits = new CommitQueue(parts.store, parts.clock, parts.log);
  }

  /** Keeps the couriers in step with the tenants, and wakes them when the journal grows. */
  start(): void {
    const { tenants, committed, clock } = this.#parts;
    const follow = (signal: Signal, deed: () => Promise<void> | void): Promise<void> => {
      const round = async (): Promise<null> => {
        await deed();
        return null;
      };
      return workUntil(this.#abort.signal, { round, signals: [signal], failed: this.#failed, clock });
    };
    this.#loops = [
      follow(tenants.changed, () => this.#mutex.run(null, () => this.#adjust())),
      follow(committed, () => this.#working.forEach(({ courier }) => courier.stir())),
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
  async report({ id, url }: Tenant): Promise<DeliveryReport | null> {
    if (url === null) return null;
    const { store, log } = this.#parts;
    const { underWay, lastSuccessAt, lastFailure, tries, stuck, ...state } =
      this.#states.get(id) ?? new DeliveryState(id, log);
    const cursor = state.cursor ?? (await store.place(id))?.cursor;
    if (cursor === undefined) return null;
    const { events: lag, oldestAt: oldestUnread } = await store.lag(cursor);
    const oldestAt = underWay === null ? oldestUnread : (await store.lag(underWay - 1)).oldestAt;
    return { lag, oldestAt, lastSuccessAt, lastFailure, isFailing: tries > 0, stuck };
  }

  /** Delivers everything since `from` to the tenant again; null if nothing is delivered to it. */
  replay({ id }: Tenant, from: ReplayFrom): Promise<Replayed | null> {
    return this.#mutex.run(null, () =>
      this.#whileResting(id, async () => {
        const replayed = await this.#parts.store.replay(id, from, this.#parts.clock.now());
        this.#states.get(id)?.replayed();
        return replayed;
      }),
    );
  }

  /** Skips the event that the tenant is stuck at, for good; null if it is not stuck at that event. */
  skip({ id }: Tenant, eventId: EventId): Promise<Stuck | null> {
    return this.#mutex.run(null, async () => {
      const state = this.#states.get(id);
      const stuck = state?.stuck ?? null;
      if (stuck?.eventId !== eventId) return null;
      return this.#whileResting(id, async () => {
        const isSkipped = await this.#parts.store.skip(id, stuck, this.#parts.clock.now());
        if (isSkipped) state?.skipped();
        return isSkipped ? stuck : null;
      });
    });
  }

  /** Changes a tenant's stored position. Its courier is stopped, and pending steps are written first. */
  async #whileResting<T>(id: TenantId, change: () => Promise<T>): Promise<T> {
    await this.#dismiss(id);
    await this.#commits.flush();
    const result = await change();
    await this.#adjust();
    return result;
  }

  async ping(tenant: Tenant, transactionId: string | null): Promise<PingOutcome> {
    if (tenant.url === null) {
      return { ok: false, status: null, body: null, why: "no-url", sentence: "The tenant has no URL." };
    }
    const outcome = await this.#clientOf(tenant).ping(transactionId, this.#parts.clock, this.#abort.signal);
    if (outcome.ok) this.#working.get(tenant.id)?.courier.hurry();
    return outcome;
  }

  offer(tenant: TenantId, event: JsonObject): void {
    if (this.#parts.tenants.byId(tenant)?.ephemeral === true) this.#working.get(tenant)?.courier.offer(event);
  }

  /** Hands ephemeral events to tenants that want them and have a live lease in the room. Returns at once. */
  ephemeral(events: readonly JsonValue[]): void {
    const wanting = this.#parts.tenants.all().filter(({ id, ephemeral }) => ephemeral && this.#working.has(id));
    if (wanting.length === 0) return;
    this.#hand(events.slice(0, EPHEMERAL_AT_ONCE), wanting).catch(this.#failed);
  }

  async #hand(events: readonly JsonValue[], wanting: readonly Tenant[]): Promise<void> {
    const { own, leases, tenants } = this.#parts;
    for (const given of events) {
      const roomId = isJsonObject(given) ? (stringAt(given, "room_id") as RoomId | null) : null;
      if (roomId === null) continue;
      for (const tenant of wanting) {
        const event = forTenant(given, own, (user) => isUserId(user) && tenants.isPersona(tenant, user));
        if (event === null || (await leases.find(roomId, { kind: "tenant", name: tenant.id })) === null) continue;
        this.#working.get(tenant.id)?.courier.offer(event);
      }
    }
  }

  async #adjust(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const { tenants, forget } = this.#parts;
    const wanted = tenants.all().filter(({ url, pausedAt }) => url !== null && pausedAt === null);
    const keys = new Map(
      wanted.map(({ id, url, ca, createdAt }) => [id, JSON.stringify([url, ca, tenants.hsTokenOf(id), createdAt])]),
    );
    for (const [id, { key }] of [...this.#working]) if (keys.get(id) !== key) await this.#dismiss(id);
    for (const id of this.#states.keys()) {
      if (tenants.byId(id) !== null) continue;
      this.#states.delete(id);
      forget(id);
    }
    const idle = wanted.filter(({ id }) => !this.#working.has(id));
    // A courier begins at its predecessor's stored position.
    if (idle.length > 0) await this.#commits.flush();
    for (const tenant of idle) {
      this.#working.set(tenant.id, { key: keys.get(tenant.id) ?? "", courier: this.#engage(tenant) });
    }
  }

  async #dismiss(id: TenantId): Promise<void> {
    const working = this.#working.get(id);
    this.#working.delete(id);
    await working?.courier.stop();
  }

  #clientOf(tenant: Tenant): AppserviceClient {
    const { pusher, tenants } = this.#parts;
    return new AppserviceClient(pusher, tenant, tenants.hsTokenOf(tenant.id));
  }

  #engage(tenant: Tenant): Courier {
    const { id } = tenant;
    const { tenants, log, count } = this.#parts;
    const state = this.#states.get(id) ?? new DeliveryState(id, log);
    this.#states.set(id, state);
    const courier = new Courier({
      ...this.#parts,
      tenant: () => tenants.byId(id),
      state,
      appservice: this.#clientOf(tenant),
      commits: this.#commits,
      count: (what, by) => count(id, what, by),
    });
    courier.start();
    return courier;
  }
}
