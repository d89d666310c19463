import { hostname } from "node:os";
import type { FastifyInstance } from "fastify";
import { keepSettingUp } from "../attendance/account.ts";
import { CORS } from "../http/door/door.ts";
import { adminRoutes } from "../admin/routes.ts";
import { metricsText, Tally } from "../admin/tally.ts";
import { HomeserverClient } from "../homeserver/client.ts";
import { PseudouserDevice } from "../homeserver/device.ts";
import { HomeserverDirectory } from "../policy/homeserver-directory.ts";
import { HomeserverStates } from "../ledger/loading/homeserver-states.ts";
import { AliasLookups } from "../attendance/leases/lookups.ts";
import { INTAKE_BODY_LIMIT, intakeRoutes } from "../ledger/intake/routes.ts";
import { Openings, type Opened } from "../ledger/openings.ts";
import { Recorder } from "../ledger/recorder.ts";
import { SharedJournal } from "../ledger/shared-journal.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import { pseudouserOf } from "../model/pseudouser.ts";
import { gatewayRoutes, type Gateway } from "./gateway.ts";
import { Guard } from "./policy.ts";
import { Attendance } from "./attendance.ts";
import { Readers } from "./workers.ts";
import type { Shared } from "./shared.ts";
import { changesBetween, type ConfigChanges, type Config } from "../platform/config/config.ts";
import { DatabaseWatch } from "./database-watch.ts";
import { Misses } from "./missed.ts";
import { listen, makeServer, type ServerOptions } from "../http/server.ts";
import { makeMetrics } from "../platform/metrics.ts";
import { makeTenantRegistration } from "../platform/registration.ts";
import { programVersion } from "../platform/version.ts";
import { takeInstanceLock, type InstanceLock } from "../storage/instance-lock.ts";
import { SqliteStorage } from "./stores.ts";

export interface AppParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const ADMIN_BODY_LIMIT = 64 * 1024;
/** Longest wait for requests under way during shutdown, in milliseconds. */
const STOP_WAIT_MS = 10_000;

/** Builds and connects all parts. `start` opens the listeners in a safe order; `stop` closes them in reverse. */
export class App {
  readonly #settled = Promise.withResolvers<undefined>();
  /** Resolves when start-up is complete; rejects if the homeserver refuses the pseudouser. */
  readonly ready: Promise<void> = this.#settled.promise;
  /** The listeners' ports, once `start` has resolved. */
  readonly ports = { appservice: 0, gateway: 0, admin: 0 };

  #config: Config;
  readonly #lock: InstanceLock;
  readonly #shared: Shared;
  readonly #watch: DatabaseWatch;
  readonly #opened: Opened;
  readonly #misses: Misses;
  readonly #recorder: Recorder;
  readonly #guard: Guard;
  readonly #attendance: Attendance;
  readonly #readers: Readers;
  readonly #intake: FastifyInstance;
  readonly #gateway: FastifyInstance;
  readonly #gatewayParts: Gateway;
  readonly #admin: FastifyInstance;
  readonly #abort = new AbortController();
  readonly #startedAt: number;
  #notReadyBecause: string | null = "Emissary is starting.";
  readonly #background: Promise<unknown>[] = [];

  /** @throws EmissaryError `bad-config` if the database cannot be opened, `in-use` if another process has it. */
  constructor({ config, clock, random, log }: AppParts) {
    this.#config = config;
    this.#startedAt = clock.now();
    const own = pseudouserOf(config.homeserver.serverName, config.pseudouser.localpart);
    this.#lock = takeInstanceLock(config.storage.sqlite, { command: "emissary run", since: this.#startedAt });
    const metrics = makeMetrics();
    const isWritable = (writable: boolean): void => metrics.databaseWritable.set(writable ? 1 : 0);
    this.#watch = new DatabaseWatch({ clock, log, isWritable });
    const { storage, opened } = this.#open(config.storage, random);
    this.#opened = opened;
    this.#watch.tell(opened);
    const client = new HomeserverClient({
      url: new URL(config.homeserver.url),
      asToken: config.registration.asToken,
      own,
    });
    const directory = new HomeserverDirectory(client.of("summaries"));
    const shared: Shared = {
      config,
      own,
      storage,
      journal: new SharedJournal(storage.journal),
      openings: new Openings(opened),
      client,
      device: new PseudouserDevice(client),
      directory,
      aliases: new AliasLookups(directory, clock, () => metrics.noPlace.inc({ who: "any", kind: "alias" })),
      states: new HomeserverStates(client),
      metrics,
      clock,
      random,
      log,
      stopping: this.#abort.signal,
    };
    this.#shared = shared;
    this.#recorder = new Recorder(storage.ledger, own, clock, random, (row, isLate) => {
      const { events } = row;
      shared.journal.heard(row);
      // Late events do not count as a flood: they may be of an hour.
      if (!isLate) this.#attendance.heard(events);
      this.#readers.heard(events);
      this.#gatewayParts.heard(events);
    });
    this.#guard = new Guard(shared);
    this.#misses = new Misses(this.#guard.tenants, metrics, clock, log);
    this.#attendance = new Attendance(shared, this.#guard, this.#recorder, () => this.#config.attendance);
    this.#readers = new Readers(shared, this.#guard, this.#attendance.keeper, this.#recorder);

    const tally = new Tally(metrics, clock);
    const listener = (
      options: Pick<ServerOptions, "name" | "bodyLimit" | "audience" | "passesOn" | "early">,
    ): FastifyInstance => {
      const cut: ServerOptions["cut"] = (body) => metrics.cutOff.inc({ listener: options.name, body });
      return makeServer({ ...options, log, clock, random, cut });
    };
    this.#intake = listener({ name: "intake", bodyLimit: INTAKE_BODY_LIMIT, audience: "operator" });
    intakeRoutes(this.#intake, {
      recorder: this.#recorder,
      hsToken: config.registration.hsToken,
      own,
      observe: (seen) => {
        tally.count(seen);
        if (seen.setAside > 0) log.warn("intake.set-aside", { events: seen.setAside });
      },
      passed: (events) => this.#readers.couriers.ephemeral(events),
      pinged: (transactionId) => tally.pinged(transactionId),
    });
    this.#gateway = listener({ name: "gateway", bodyLimit: null, audience: "strangers", passesOn: true, early: CORS });
    this.#gatewayParts = gatewayRoutes(this.#gateway, {
      ...shared,
      ...this.#guard.parts,
      feed: this.#readers.feed,
      recorder: this.#recorder,
      keeper: this.#attendance.keeper,
      standIns: this.#attendance.standIns,
      couriers: this.#readers.couriers,
      missed: this.#misses.note,
    });
    this.#admin = listener({ name: "admin", bodyLimit: ADMIN_BODY_LIMIT, audience: "operator" });
    this.#adminRoutes(tally);
  }

  #adminRoutes(tally: Tally): void {
    const { config, storage, directory, metrics, clock, random } = this.#shared;
    const { tenants, desk, pointers } = this.#guard;
    const { couriers, history, lists, invites, aliasOperator } = this.#readers;
    const delivery = () => this.#attendance.delivery;
    const guard = this.#guard.view(
      () => this.#config.policy,
      () => lists.statuses(),
    );
    const sources = { overview: storage.overview, journal: storage.journal, history, tenants, deliveries: couriers };
    adminRoutes(this.#admin, {
      ...this.#shared,
      ...sources,
      token: config.admin.token,
      hosts: [config.admin.listen.host, hostname()],
      version: programVersion(),
      homeserver: config.homeserver,
      startedAt: this.#startedAt,
      notReadyBecause: () => this.#notReadyBecause ?? this.#watch.fault,
      restored: this.#opened.restored,
      missedBy: this.#misses.of,
      tally,
      lateEvents: () => this.#attendance.lateEvents,
      delivery,
      ownInvites: () => invites.treatment,
      metricsText: () => metricsText(metrics, { ...sources, clock, delivery, guard }),
      ledger: storage.ledger,
      leases: storage.leases,
      desk,
      keeper: this.#attendance.keeper,
      aliases: pointers,
      keptAliases: aliasOperator,
      looker: directory,
      pinger: couriers,
      guard,
      audit: storage.audit,
      backup: (path) => storage.backups.make(path, clock.now(), random, this.#abort.signal),
      registrationOf: (tenant, tokens) => makeTenantRegistration(tenant, tokens),
    });
  }

  /**
   * Opens the intake first, so that nothing from the homeserver waits, then admin, which shows the progress. Then
   * resolves. Once the pseudouser is set up, attendance and the gateway follow (see `ready`).
   * @throws EmissaryError `bad-config` if it cannot listen on an address.
   */
  async start(): Promise<void> {
    const { appservice, admin } = this.#config;
    this.#background.push(this.#watch.run(this.#shared.storage.openings, this.#abort.signal));
    await this.#recorder.start();
    await this.#guard.start();
    await this.#readers.lists.start();
    this.ports.appservice = await listen(this.#intake, "appservice.listen", appservice.listen);
    this.ports.admin = await listen(this.#admin, "admin.listen", admin.listen);
    this.#background.push(this.#becomeReady().then(() => this.#settled.resolve(undefined), this.#settled.reject));
  }

  /** Applies what a running daemon can reload. Returns these keys, and those that need a restart. */
  reload(config: Config): ConfigChanges {
    const changes = changesBetween(this.#config, config);
    this.#attendance.configure(config);
    this.#guard.configure(config.policy);
    this.#readers.configure(config.policy);
    this.#config = { ...this.#config, attendance: config.attendance, policy: config.policy, log: config.log };
    return changes;
  }

  /** Finishes current work and closes everything. Safe to call after a failed start. */
  async stop(): Promise<void> {
    this.#notReadyBecause = "Emissary is stopping.";
    this.#abort.abort();
    const closed = new AbortController();
    void this.#shared.clock.sleep(STOP_WAIT_MS, closed.signal).then(() => {
      if (closed.signal.aborted) return;
      for (const server of [this.#gateway, this.#intake, this.#admin]) server.server.closeAllConnections();
    });
    // Requests that wait for attendance end with the keeper, so both stop together.
    await Promise.all([
      this.#attendance.keeper.stop(),
      this.#gateway.close(),
      this.#intake.close(),
      this.#admin.close(),
    ]);
    closed.abort();
    await Promise.all([this.#attendance.stop(), this.#readers.stop()]);
    await Promise.all(this.#background);
    this.#readers.close();
    await this.#shared.client.close();
    await this.#lastBeat();
    this.#shared.storage.close();
    this.#lock.release();
  }

  /** Records the database's last state, so that an older copy is recognised as restored. Fails on a full disk. */
  async #lastBeat(): Promise<void> {
    const { storage, clock } = this.#shared;
    await storage.openings.beat(clock.now()).catch(() => undefined);
  }

  /** Opens the database. Releases the lock on failure. */
  #open(
    { sqlite, durability }: Config["storage"],
    random: Random,
  ): { readonly storage: SqliteStorage; readonly opened: Opened } {
    try {
      const storage = new SqliteStorage(sqlite, durability, this.#watch.faulted);
      return { storage, opened: storage.openings.begin(this.#startedAt, random) };
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  async #becomeReady(): Promise<void> {
    const { gateway, pseudouser, homeserver } = this.#config;
    const { own, client, device, clock, random, log, stopping } = this.#shared;
    const isSetUp = await keepSettingUp({
      client,
      device,
      displayname: pseudouser.displayname ?? homeserver.serverName,
      clock,
      random,
      log,
      abort: stopping,
      onFailure: (sentence) => (this.#notReadyBecause = sentence),
    });
    if (!isSetUp) return;
    this.#background.push(...(await this.#guard.watch()));
    this.#background.push(...(await this.#attendance.start()));
    this.#background.push(this.#gatewayParts.halfMade.run(stopping), ...this.#gatewayParts.start());
    this.ports.gateway = await listen(this.#gateway, "gateway.listen", gateway.listen);
    this.#background.push(...this.#readers.start());
    this.#notReadyBecause = null;
    log.info("emissary.ready", { pseudouser: own, ...this.ports });
  }
}
