import { enlist } from "../attendance/functional-member.ts";
import { Keeper } from "../attendance/keeper.ts";
import { RoomLoader } from "../ledger/loading/loader.ts";
import { StandIns } from "../attendance/stand-ins.ts";
import { PseudouserMoves } from "../attendance/homeserver/moves.ts";
import { StandInMoves } from "../attendance/homeserver/stand-ins.ts";
import { HomeserverAnswers } from "../ledger/comparing/homeserver-queries.ts";
import type { Recorder } from "../ledger/recorder.ts";
import { Floods } from "../attendance/leases/floods.ts";
import { Reviewer } from "../attendance/leases/reviewer.ts";
import { replacementOf, Upgrades } from "../attendance/upgrades/upgrades.ts";
import type { RoomEvent } from "../model/event.ts";
import { Signal } from "../concurrency/signal.ts";
import type { Config } from "../platform/config/config.ts";
import { FloodMeter } from "../policy/flood.ts";
import { StallDetector, type Delivery } from "../ledger/comparing/delivery.ts";
import { Holes } from "../ledger/comparing/holes.ts";
import { Timelines } from "../ledger/comparing/timelines.ts";
import { reconcileForever, type ReconcilerParts } from "../ledger/comparing/reconciler.ts";
import type { Guard } from "./policy.ts";
import type { Shared } from "./shared.ts";

/** Keeps the pseudouser in and out of rooms, and the ledger up to date. */
export class Attendance {
  readonly keeper: Keeper;
  readonly standIns: StandIns;
  readonly #shared: Shared;
  readonly #reviewer: Reviewer;
  readonly #upgrades: Upgrades;
  readonly #floods: Floods;
  readonly #loader: RoomLoader;
  readonly #watch: StallDetector;
  readonly #reconciler: ReconcilerParts;
  #lateEvents = 0;

  /** @param attendance returns the current section of the configuration */
  constructor(shared: Shared, guard: Guard, recorder: Recorder, attendance: () => Config["attendance"]) {
    const { config, own, storage, client, metrics } = shared;
    const { ledger, leases, standIns, reconcile: store } = storage;
    const parts = { ...shared, ...guard.parts, recorder, ledger, leases };
    const moves = new PseudouserMoves(client);
    this.#shared = shared;
    this.standIns = new StandIns({ ...parts, store: standIns, moves: new StandInMoves(client) });
    this.keeper = new Keeper({
      ...parts,
      standIns: this.standIns,
      store: storage.attendance,
      moves,
      options: { ...config.attendance, maxRooms: config.policy.maxRooms },
    });
    const { stepped } = this.keeper;
    const reviews = { ...parts, store: storage.reviews, ended: guard.desk.changed };
    this.#reviewer = new Reviewer({
      ...reviews,
      committed: recorder.committed,
      stepped,
      rules: guard.rules.changed,
      tenants: guard.tenants.changed,
    });
    this.#floods = new Floods({
      ...reviews,
      meter: new FloodMeter(config.policy.maxEventRate, own),
      inputs: guard.policy.inputs,
      flooded: () => metrics.roomsFlooded.inc(),
    });
    const loaded = new Signal();
    const upgrades = { ...parts, store: storage.upgrades };
    this.#upgrades = new Upgrades({
      ...upgrades,
      replacementOf: (roomId, abort) => replacementOf(client, roomId, abort),
      moved: guard.desk.changed,
      signals: [recorder.ownChanged, loaded],
    });
    const isWanted = (): boolean => attendance().functionalMember;
    const members = { ...parts, store: storage.attendance, isWanted };
    this.#loader = new RoomLoader({
      ...parts,
      loads: storage.loads,
      entered: (roomId, power, abort) => enlist(members, roomId, power, abort),
      repaired: (differences) => metrics.repaired.inc({ what: "rows" }, differences),
      loaded,
      wake: stepped,
    });
    const comparing = { ...parts, store, queries: new HomeserverAnswers(client, config.registration.id) };
    this.#watch = new StallDetector({ ...comparing, knows: (eventId) => recorder.knows(eventId) });
    const watched = { ...comparing, watch: this.#watch };
    this.#reconciler = {
      ...watched,
      timelines: new Timelines({
        ...watched,
        late: (events) => {
          this.#lateEvents += events;
          metrics.lateEvents.inc(events);
        },
      }),
      holes: new Holes(comparing),
      moves,
      wake: stepped,
      found: ({ unknown, gone }) => {
        metrics.repaired.inc({ what: "room-unknown" }, unknown);
        metrics.repaired.inc({ what: "room-gone" }, gone);
      },
    };
  }

  /** Whether the homeserver delivers events. */
  get delivery(): Delivery {
    return this.#watch.delivery;
  }

  /** Number of events that the homeserver lost and that were read back, since the start. */
  get lateEvents(): number {
    return this.#lateEvents;
  }

  /** Called with written events. */
  heard(events: readonly RoomEvent[]): void {
    this.#floods.count(events);
  }

  configure({ policy, attendance }: Pick<Config, "policy" | "attendance">): void {
    this.#floods.setRate(policy.maxEventRate);
    this.keeper.setOptions({ ...attendance, maxRooms: policy.maxRooms });
  }

  /** Starts the background work. Each promise settles some time after the stop. */
  async start(): Promise<readonly Promise<unknown>[]> {
    const { stopping: abort } = this.#shared;
    await this.keeper.start();
    this.#loader.start();
    return [
      this.#reviewer.run(abort),
      this.standIns.run(abort),
      this.#upgrades.run(abort),
      reconcileForever(this.#reconciler, abort),
    ];
  }

  async stop(): Promise<void> {
    await this.#loader.stop();
  }
}
