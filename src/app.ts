import type { FastifyInstance } from "fastify";
import { keepSettingUp } from "./attendance/account.ts";
import { FunctionalMember } from "./attendance/functional-member.ts";
import { Keeper } from "./attendance/keeper.ts";
import { RoomLoader } from "./attendance/loader.ts";
import { JournalFeed } from "./feed/feed.ts";
import { gatewayRoutes } from "./gateway.ts";
import { AliasKeeping, type AliasParts } from "./gateways/alias/keeping.ts";
import { AliasOperator } from "./gateways/alias/operator.ts";
import { adminRoutes } from "./gateways/admin/routes.ts";
import { metricsText, Tally } from "./gateways/admin/tally.ts";
import { Couriers } from "./gateways/delivery/couriers.ts";
import { Invites } from "./gateways/invites/invites.ts";
import { PolicyLists } from "./gateways/lists/reader.ts";
import { HomeserverAccount } from "./homeserver/account.ts";
import { HomeserverAliasDirectory } from "./homeserver/alias-directory.ts";
import { HomeserverClient } from "./homeserver/client.ts";
import { HomeserverDirectory } from "./homeserver/directory.ts";
import { HomeserverInvitePermission } from "./homeserver/invite-permission.ts";
import { HomeserverMoves } from "./homeserver/moves.ts";
import { HomeserverServiceMembers } from "./homeserver/service-members.ts";
import { HomeserverStates } from "./homeserver/states.ts";
import { HomeserverAnswers } from "./homeserver/word.ts";
import { INTAKE_BODY_LIMIT, intakeRoutes } from "./intake/routes.ts";
import { EVENT_MEMORY, Recorder, TRANSACTION_MEMORY } from "./ledger/recorder.ts";
import { HistoryLimiter, limitHistory } from "./ledger/retention.ts";
import { forgetStrangers, type StrangerParts } from "./ledger/strangers.ts";
import { LeaseDesk } from "./leases/desk.ts";
import { Floods } from "./leases/floods.ts";
import { Reviewer } from "./leases/reviewer.ts";
import { LeaseRefusals } from "./leases/refusals.ts";
import { sweepLeases } from "./leases/sweeper.ts";
import type { Clock, Random } from "./model/clock.ts";
import type { UserId } from "./model/ids.ts";
import type { HolderKind } from "./model/lease.ts";
import type { Logger } from "./model/logger.ts";
import { pseudouserOf } from "./model/pseudouser.ts";
import { changesBetween, type ConfigChanges } from "./platform/config/changes.ts";
import type { Config } from "./platform/config/config.ts";
import { Pusher } from "./platform/http/push.ts";
import { listen, makeServer } from "./platform/http/server.ts";
import { makeMetrics } from "./platform/metrics.ts";
import { makeTenantRegistration } from "./platform/registration.ts";
import { programVersion } from "./platform/version.ts";
import { Budgets } from "./policy/budgets.ts";
import { FloodMeter } from "./policy/flood.ts";
import { configuredRules } from "./policy/configured.ts";
import { budgetsOf, type BudgetKind } from "./policy/payers.ts";
import { Policy } from "./policy/policy.ts";
import { Rules } from "./policy/rules.ts";
import { Tenants } from "./policy/tenants.ts";
import { DeliveryWatch, type Delivery } from "./reconcile/delivery.ts";
import { reconcileForever, type ReconcilerParts } from "./reconcile/reconciler.ts";
import { takeInstanceLock, type InstanceLock } from "./storage/sqlite/instance-lock.ts";
import { SqliteStorage } from "./storage/sqlite/storage.ts";

export interface AppParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const ADMIN_BODY_LIMIT = 64 * 1024;
/** How long requests under way may take after we were told to stop, milliseconds. */
const STOP_WAIT_MS = 10_000;

/**
 * The whole of Emissary. The constructor builds the parts and joins them, `start` opens the doors in a safe order, `stop` closes
 * them in the reverse one. Nothing else knows all the parts.
 */
export class App {
  /** Settles when start-up is over: resolves when ready, rejects where the homeserver refuses the pseudouser. */
  readonly ready: Promise<void>;
  /** The ports that the listeners got, once `start` has resolved. */
  readonly ports = { appservice: 0, gateway: 0, admin: 0 };

  #config: Config;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #own: UserId;
  readonly #lock: InstanceLock;
  readonly #storage: SqliteStorage;
  readonly #client: HomeserverClient;
  readonly #recorder: Recorder;
  readonly #tenants: Tenants;
  readonly #rules: Rules;
  readonly #budgets: Budgets<BudgetKind>;
  readonly #policy: Policy;
  readonly #desk: LeaseDesk;
  readonly #keeper: Keeper;
  readonly #reviewer: Reviewer;
  readonly #floods: Floods;
  readonly #loader: RoomLoader;
  readonly #lists: PolicyLists;
  readonly #aliases: AliasKeeping;
  readonly #reconciler: ReconcilerParts;
  readonly #history: HistoryLimiter;
  readonly #invites: Invites;
  readonly #strangers: StrangerParts;
  readonly #pusher: Pusher;
  readonly #couriers: Couriers;
  readonly #intake: FastifyInstance;
  readonly #gateway: FastifyInstance;
  readonly #admin: FastifyInstance;
  readonly #abort = new AbortController();
  readonly #startedAt: number;
  #notReadyBecause: string | null = "Emissary is starting.";
  #background: Promise<unknown>[] = [];
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} };

  /** @throws EmissaryError `bad-config` where the database cannot be opened, `in-use` where another process has it. */
  constructor({ config, clock, random, log }: AppParts) {
    this.#config = config;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.#startedAt = clock.now();
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    const { serverName } = config.homeserver;
    const own = pseudouserOf(serverName, config.pseudouser.localpart);
    this.#own = own;
    this.#lock = takeInstanceLock(config.storage.sqlite, { command: "emissary run", since: this.#startedAt });
    const storage = this.#open(config.storage);
    this.#storage = storage;
    const client = new HomeserverClient({
      url: new URL(config.homeserver.url),
      asToken: config.registration.asToken,
      own,
    });
    this.#client = client;
    const directory = new HomeserverDirectory(client);

    const metrics = makeMetrics();
    const tally = new Tally(metrics, clock);
    this.#recorder = new Recorder(storage.ledger, own, clock, random, (events) => {
      this.#floods.count(events);
      this.#aliases.heard(events);
    });
    this.#tenants = new Tenants({
      store: storage.tenants,
      own,
      server: serverName,
      secret: config.registration.asToken,
      clock,
      random,
    });
    this.#rules = new Rules(storage.rules, clock);
    this.#rules.configure(configuredRules(config.policy));
    this.#budgets = new Budgets(budgetsOf(config.policy), clock);
    this.#policy = new Policy({
      own,
      ledger: storage.ledger,
      looker: directory,
      attended: storage.attendance,
      tenants: this.#tenants,
      rules: this.#rules.book,
      coolDowns: storage.coolDowns,
      budgets: this.#budgets,
      limits: config.policy,
      clock,
    });
    const refused = (code: string, holder: HolderKind, leases = 1): void =>
      metrics.policyRefusals.inc({ code, holder }, leases);
    const refusals = new LeaseRefusals({
      write: (entry) => storage.audit.noteAll([entry], clock.now()),
      refused,
      clock,
      log,
      abort: this.#abort.signal,
    });
    this.#desk = new LeaseDesk(storage.leases, this.#policy, clock, refusals);
    const moves = new HomeserverMoves(client);
    this.#keeper = new Keeper({
      store: storage.attendance,
      moves,
      policy: this.#policy,
      desk: this.#desk,
      recorder: this.#recorder,
      clock,
      random,
      log,
      refused,
      options: config.attendance,
    });
    this.#reviewer = new Reviewer({
      store: storage.reviews,
      policy: this.#policy,
      committed: this.#recorder.committed,
      stepped: this.#keeper.stepped,
      rules: this.#rules.changed,
      tenants: this.#tenants.changed,
      ended: this.#desk.changed,
      refused,
      clock,
      log,
    });
    this.#floods = new Floods({
      meter: new FloodMeter(config.policy.maxEventRate, own),
      store: storage.reviews,
      policy: this.#policy,
      ended: this.#desk.changed,
      refused,
      flooded: () => metrics.roomsFlooded.inc(),
      clock,
      log,
    });
    const aliasParts: AliasParts = {
      own,
      store: storage.aliases,
      directory: new HomeserverAliasDirectory(client, directory, config.homeserver.adminToken ?? null),
      desk: this.#desk,
      keeper: this.#keeper,
      clock,
      random,
      log,
      options: config.aliases,
      stopping: this.#abort.signal,
    };
    this.#aliases = new AliasKeeping(aliasParts);
    const states = new HomeserverStates(client);
    this.#loader = new RoomLoader({
      loads: storage.loads,
      states,
      functionalMember: new FunctionalMember({
        members: new HomeserverServiceMembers(client),
        store: storage.attendance,
        own,
        isWanted: () => this.#config.attendance.functionalMember,
        clock,
        log,
      }),
      own,
      clock,
      random,
      log,
      repaired: (differences) => metrics.repaired.inc({ what: "rows" }, differences),
      stirred: this.#keeper.stepped,
    });
    this.#lists = new PolicyLists({
      lists: config.policy.lists,
      rules: this.#rules,
      aliases: directory,
      desk: this.#desk,
      leases: storage.leases,
      ledger: storage.ledger,
      journal: storage.journal,
      recorder: this.#recorder,
      states,
      clock,
      log,
    });
    const word = new HomeserverAnswers(client, config.registration.id);
    const watch = new DeliveryWatch({
      word,
      store: storage.reconcile,
      clock,
      knows: (eventId) => this.#recorder.knows(eventId),
    });
    const delivery = (): Delivery => watch.delivery;
    this.#reconciler = {
      word,
      store: storage.reconcile,
      moves,
      recorder: this.#recorder,
      watch,
      clock,
      log,
      stirred: this.#keeper.stepped,
      found: ({ unknown, gone }) => {
        metrics.repaired.inc({ what: "room-unknown" }, unknown);
        metrics.repaired.inc({ what: "room-gone" }, gone);
      },
    };

    const history = new HistoryLimiter(storage.history, {
      ...config.storage,
      memory: { events: EVENT_MEMORY, transactions: TRANSACTION_MEMORY },
    });
    this.#history = history;
    this.#invites = new Invites({
      own,
      ownInvites: storage.ownInvites,
      cursor: storage.inviteCursor,
      ledger: storage.ledger,
      journal: storage.journal,
      leases: storage.leases,
      keeper: this.#keeper,
      desk: this.#desk,
      recorder: this.#recorder,
      tenants: this.#tenants,
      rules: this.#rules.book,
      permission: new HomeserverInvitePermission(client, this.#abort.signal),
      ownSetting: config.policy.ownInvites,
      options: config.invites,
      clock,
      log,
      count: (outcome) => metrics.ownInvites.inc({ outcome }),
    });
    const forgot = (rooms: number): void => metrics.roomsForgotten.inc(rooms);
    this.#strangers = { store: storage.strangers, clock, log, forgot };

    const feed = new JournalFeed({
      journal: storage.journal,
      coverage: storage.coverage,
      tenants: this.#tenants,
      own,
    });
    this.#pusher = new Pusher(clock);
    this.#couriers = new Couriers({
      tenants: this.#tenants,
      feed,
      store: storage.deliveries,
      leases: storage.leases,
      pusher: this.#pusher,
      committed: this.#recorder.committed,
      own,
      clock,
      random,
      log,
      count: (tenant, what, by) => {
        if (what === "ephemeral-dropped") metrics.tenantEphemeralDropped.inc({ tenant }, by);
        else metrics.tenantTransactions.inc({ tenant, outcome: what }, by);
      },
      forget: (tenant) => {
        metrics.tenantEphemeralDropped.remove({ tenant });
        for (const outcome of ["delivered", "failed"]) metrics.tenantTransactions.remove({ tenant, outcome });
      },
    });

    this.#intake = makeServer({ name: "intake", bodyLimit: INTAKE_BODY_LIMIT, log, random });
    intakeRoutes(this.#intake, {
      recorder: this.#recorder,
      hsToken: config.registration.hsToken,
      own,
      observe: (seen) => {
        tally.count(seen);
        if (seen.setAside > 0) log.warn("intake.set-aside", { events: seen.setAside });
      },
      passed: (events) => this.#couriers.ephemeral(events),
      pinged: (transactionId) => tally.pinged(transactionId),
    });
    this.#gateway = makeServer({ name: "gateway", bodyLimit: null, log, random });
    gatewayRoutes(this.#gateway, {
      config,
      own,
      storage,
      client,
      directory,
      states,
      feed,
      recorder: this.#recorder,
      tenants: this.#tenants,
      desk: this.#desk,
      keeper: this.#keeper,
      couriers: this.#couriers,
      metrics,
      clock,
      log,
      stopping: this.#abort.signal,
    });
    const guard = {
      config: () => this.#config.policy,
      policy: this.#policy,
      rules: this.#rules,
      budgets: this.#budgets,
      attended: storage.attendance,
      coolDowns: storage.coolDowns,
      lists: () => this.#lists.standings(),
    };
    this.#admin = makeServer({ name: "admin", bodyLimit: ADMIN_BODY_LIMIT, log, random });
    adminRoutes(this.#admin, {
      token: config.admin.token,
      version: programVersion(),
      own,
      homeserver: config.homeserver,
      clock,
      startedAt: this.#startedAt,
      notReadyBecause: () => this.#notReadyBecause,
      intake: () => tally.intake,
      delivery,
      ownInvites: () => this.#invites.treatment,
      metricsText: () =>
        metricsText(metrics, {
          overview: storage.overview,
          journal: storage.journal,
          history,
          clock,
          delivery,
          tenants: this.#tenants,
          deliveries: this.#couriers,
          guard,
        }),
      ledger: storage.ledger,
      journal: storage.journal,
      history,
      overview: storage.overview,
      leases: storage.leases,
      desk: this.#desk,
      keeper: this.#keeper,
      aliases: directory,
      keptAliases: new AliasOperator(aliasParts, this.#aliases),
      looker: directory,
      tenants: this.#tenants,
      deliveries: this.#couriers,
      pinger: this.#couriers,
      guard,
      audit: storage.audit,
      backup: (path) => storage.backups.make(path, clock.now(), random, this.#abort.signal),
      registrationOf: (tenant, tokens) => makeTenantRegistration(tenant, tokens),
    });
  }

  /**
   * Opens intake first, so that nothing the homeserver sends waits on the rest; then admin, which tells how far we are; then,
   * once the pseudouser stands, attendance and the gateway. Resolves when intake and admin are open; `ready` tells the rest.
   * @throws EmissaryError `bad-config` where a listener's address cannot be had.
   */
  async start(): Promise<void> {
    const { appservice, admin } = this.#config;
    await this.#recorder.start();
    await this.#tenants.start();
    await this.#rules.start();
    await this.#lists.start();
    this.ports.appservice = await listen(this.#intake, "appservice.listen", appservice.listen);
    this.ports.admin = await listen(this.#admin, "admin.listen", admin.listen);
    this.#background.push(this.#becomeReady().then(this.#settleReady.resolve, this.#settleReady.reject));
  }

  /** Takes over what of a configuration read anew can change while we run; the keys that did, and those that could not. */
  reload(config: Config): ConfigChanges {
    const changes = changesBetween(this.#config, config);
    this.#policy.setLimits(config.policy);
    this.#budgets.setBudgets(budgetsOf(config.policy));
    this.#rules.configure(configuredRules(config.policy));
    this.#lists.setLists(config.policy.lists);
    this.#invites.setOwn(config.policy.ownInvites);
    this.#floods.setRate(config.policy.maxEventRate);
    this.#keeper.setOptions(config.attendance);
    this.#config = { ...this.#config, attendance: config.attendance, policy: config.policy, log: config.log };
    return changes;
  }

  /** Finishes what is in hand and closes everything. Safe to call after a start that failed. */
  async stop(): Promise<void> {
    this.#notReadyBecause = "Emissary is stopping.";
    this.#abort.abort();
    const closed = new AbortController();
    void this.#clock.sleep(STOP_WAIT_MS, closed.signal).then(() => {
      if (closed.signal.aborted) return;
      for (const server of [this.#gateway, this.#intake, this.#admin]) server.server.closeAllConnections();
    });
    // Requests that wait for attendance end with the keeper, so both are stopped together.
    await Promise.all([this.#keeper.stop(), this.#gateway.close(), this.#intake.close(), this.#admin.close()]);
    closed.abort();
    await Promise.all([this.#loader.stop(), this.#couriers.stop()]);
    await Promise.all(this.#background);
    this.#pusher.close();
    await this.#client.close();
    this.#storage.close();
    this.#lock.release();
  }

  /** The database, which is let go of again where it cannot be opened. */
  #open({ sqlite, durability }: Config["storage"]): SqliteStorage {
    try {
      return new SqliteStorage(sqlite, durability);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  async #becomeReady(): Promise<void> {
    const { gateway } = this.#config;
    const isSetUp = await keepSettingUp({
      account: new HomeserverAccount(this.#client, this.#abort.signal),
      own: this.#own,
      displayname: this.#config.pseudouser.displayname ?? this.#config.homeserver.serverName,
      clock: this.#clock,
      random: this.#random,
      log: this.#log,
      abort: this.#abort.signal,
      onFailure: (sentence) => (this.#notReadyBecause = sentence),
    });
    if (!isSetUp) return;
    await this.#keeper.start();
    this.#loader.start();
    this.#background.push(this.#reviewer.run(this.#abort.signal));
    this.#background.push(this.#lists.run(this.#abort.signal));
    this.#background.push(
      sweepLeases({
        store: this.#storage.leases,
        changed: this.#desk.changed,
        clock: this.#clock,
        log: this.#log,
        abort: this.#abort.signal,
      }),
    );
    this.#background.push(
      limitHistory({
        limiter: this.#history,
        clock: this.#clock,
        log: this.#log,
        abort: this.#abort.signal,
      }),
    );
    this.#background.push(reconcileForever(this.#reconciler, this.#abort.signal));
    this.#background.push(this.#invites.run(this.#abort.signal));
    this.#background.push(forgetStrangers(this.#strangers, this.#abort.signal));
    this.ports.gateway = await listen(this.#gateway, "gateway.listen", gateway.listen);
    this.#couriers.start();
    this.#background.push(this.#aliases.run());
    this.#notReadyBecause = null;
    this.#log.info("emissary.ready", { pseudouser: this.#own, ...this.ports });
  }
}
