import { JournalFeed } from "../tenants/feed/feed.ts";
import { AliasKeeping } from "../aliases/keeping.ts";
import { AliasOperator } from "../aliases/operator.ts";
import type { AliasParts } from "../aliases/verifier.ts";
import { Couriers } from "../tenants/delivery/couriers.ts";
import { Invites } from "../invites/invites.ts";
import { PolicyLists } from "../lists/reader.ts";
import { HomeserverAliasDirectory } from "../aliases/homeserver-directory.ts";
import { InvitePermission } from "../attendance/invites/invite-permission.ts";
import type { Keeper } from "../attendance/keeper.ts";
import { EVENT_MEMORY, TRANSACTION_MEMORY, type Recorder } from "../ledger/recorder.ts";
import { cleanUp } from "../ledger/cleaning.ts";
import { HistoryLimiter } from "../ledger/retention.ts";
import type { RoomEvent } from "../model/event.ts";
import type { Config } from "../platform/config/config.ts";
import { Pusher } from "../http/push.ts";
import type { Guard } from "./policy.ts";
import type { Shared } from "./shared.ts";

/** The workers that use received events (couriers, policy lists, aliases, invites), and retention. */
export class Readers {
  readonly feed: JournalFeed;
  readonly couriers: Couriers;
  readonly history: HistoryLimiter;
  readonly lists: PolicyLists;
  readonly invites: Invites;
  /** The operator's view of aliases. */
  readonly aliasOperator: AliasOperator;
  readonly #aliases: AliasKeeping;
  readonly #shared: Shared;
  readonly #guard: Guard;
  readonly #pusher: Pusher;

  constructor(shared: Shared, guard: Guard, keeper: Keeper, recorder: Recorder) {
    const { config, storage, client, metrics, clock, stopping } = shared;
    const parts = { ...shared, ...guard.parts, keeper, recorder, ledger: storage.ledger, leases: storage.leases };
    this.#shared = shared;
    this.#guard = guard;
    this.feed = new JournalFeed({
      ...parts,
      coverage: storage.coverage,
      owners: storage.sent,
      news: recorder.committed,
    });
    this.#pusher = new Pusher(clock);
    this.couriers = new Couriers({
      ...parts,
      feed: this.feed,
      store: storage.deliveries,
      opening: shared.openings.name,
      pusher: this.#pusher,
      committed: recorder.committed,
      count: (tenant, what, by) => {
        if (what === "ephemeral-dropped") metrics.tenantEphemeralDropped.inc({ tenant }, by);
        else metrics.tenantTransactions.inc({ tenant, outcome: what }, by);
      },
      forget: (tenant) => {
        metrics.tenantEphemeralDropped.remove({ tenant });
        for (const outcome of ["delivered", "failed"]) metrics.tenantTransactions.remove({ tenant, outcome });
      },
    });
    this.lists = new PolicyLists({
      ...parts,
      lists: config.policy.lists,
      aliases: guard.pointers,
      pins: storage.pins,
    });
    const aliasParts: AliasParts = {
      ...parts,
      store: storage.aliases,
      directory: new HomeserverAliasDirectory(client, shared.aliases, config.homeserver.adminToken ?? null),
      options: config.aliases,
    };
    this.#aliases = new AliasKeeping(aliasParts);
    this.aliasOperator = new AliasOperator(aliasParts, this.#aliases);
    this.invites = new Invites({
      ...parts,
      ownInvites: storage.ownInvites,
      cursors: storage.journal,
      inputs: guard.policy.inputs,
      permission: new InvitePermission(client, stopping),
      ownSetting: config.policy.ownInvites,
      options: config.invites,
      count: (outcome) => metrics.ownInvites.inc({ outcome }),
    });
    this.history = new HistoryLimiter(storage.history, {
      ...config.storage,
      memory: { events: EVENT_MEMORY, transactions: TRANSACTION_MEMORY },
    });
  }

  /** Called with written events. */
  heard(events: readonly RoomEvent[]): void {
    this.#aliases.heard(events);
  }

  configure({ lists, ownInvites }: Config["policy"]): void {
    this.lists.setLists(lists);
    this.invites.setOwn(ownInvites);
  }

  /** Starts the background work. Each promise settles some time after the stop. */
  start(): readonly Promise<unknown>[] {
    const { storage, metrics, stopping: abort } = this.#shared;
    const { leases, redactions, unusedRooms } = storage;
    const ended = this.#guard.desk.changed;
    const forgot = (rooms: number): void => metrics.roomsForgotten.inc(rooms);
    this.couriers.start();
    return [
      this.lists.run(abort),
      this.invites.run(abort),
      this.#aliases.run(),
      cleanUp({ ...this.#shared, leases, redactions, unusedRooms, ended, history: this.history, forgot }, abort),
    ];
  }

  async stop(): Promise<void> {
    await this.couriers.stop();
  }

  close(): void {
    this.#pusher.close();
  }
}
