import type { GuardParts } from "../admin/guard.ts";
import { LeaseDesk } from "../attendance/leases/desk.ts";
import { LeaseRefusals } from "../attendance/leases/refusals.ts";
import type { AuditEntry } from "../model/audit.ts";
import type { HolderKind } from "../model/lease.ts";
import type { Config } from "../platform/config/config.ts";
import { compileExpression } from "../platform/expressions.ts";
import { Budgets } from "../policy/budgets.ts";
import { configuredRules } from "../policy/rule.ts";
import { budgetsOf, type BudgetKind } from "../policy/budget-subjects.ts";
import { ExceptionWatch } from "../policy/exception-watch.ts";
import { Pointers } from "../policy/pointers.ts";
import { Policy } from "../policy/policy.ts";
import { RouteHealth } from "../policy/route-health.ts";
import { Routes } from "../policy/routes.ts";
import { Rules } from "../policy/rules.ts";
import { ServerAcls } from "../policy/server-acl.ts";
import { Tenants } from "../policy/tenants.ts";
import type { Shared } from "./shared.ts";

/** Decides who may have the pseudouser in which room; contains the desk, which asks it. */
export class Guard {
  readonly tenants: Tenants;
  readonly rules: Rules;
  readonly pointers: Pointers;
  readonly routes: Routes;
  readonly policy: Policy;
  readonly health: RouteHealth;
  readonly desk: LeaseDesk;
  readonly refusals: LeaseRefusals;
  readonly #shared: Shared;
  readonly #budgets: Budgets<BudgetKind>;

  constructor(shared: Shared) {
    const { config, storage, directory, clock, stopping: abort } = shared;
    this.#shared = shared;
    const server = config.homeserver.serverName;
    const secret = config.registration.asToken;
    this.tenants = new Tenants({ ...shared, store: storage.tenants, compile: compileExpression, secret });
    this.rules = new Rules(storage.rules, storage.pins, clock);
    this.rules.configure(configuredRules(config.policy));
    const rules = this.rules.book;
    this.routes = new Routes(rules, new ServerAcls());
    this.pointers = new Pointers({ directory: shared.aliases, rules, server, clock });
    this.#budgets = new Budgets(budgetsOf(config.policy), clock);
    this.health = new RouteHealth(clock);
    this.policy = new Policy({
      ...shared,
      ledger: storage.ledger,
      looker: directory,
      attended: storage.attendance,
      tenants: this.tenants,
      rules,
      pointers: this.pointers,
      coolDowns: storage.coolDowns,
      budgets: this.#budgets,
      limits: config.policy,
      health: this.health,
    });
    const write = (entry: AuditEntry): Promise<void> => storage.audit.noteAll([entry], clock.now());
    this.refusals = new LeaseRefusals({ ...shared, write, refused: this.refused, abort });
    this.desk = new LeaseDesk(storage.leases, this.policy, clock, this.refusals);
  }

  /** Counts leases that were refused or ended by policy. */
  readonly refused = (code: string, holder: HolderKind, leases = 1): void =>
    this.#shared.metrics.policyRefusals.inc({ code, holder }, leases);

  /** What other parts are built with. */
  get parts() {
    const { tenants, rules, pointers, routes, policy, health, desk, refusals, refused } = this;
    return { tenants, rules, pointers, routes, policy, health, desk, refusals, refused };
  }

  async start(): Promise<void> {
    await this.tenants.start();
    for (const tenant of this.tenants.all()) {
      const fault = this.tenants.faultIn(tenant);
      if (fault !== null)
        this.#shared.log.warn("tenant.namespace-unread", { tenant: tenant.id, users: tenant.users, fault });
    }
    await this.rules.start();
  }

  /** Called once the homeserver can be asked, before the first verdict. Then starts the background work. */
  async watch(): Promise<Promise<void>[]> {
    const { clock, log, stopping } = this.#shared;
    const { rules, pointers, tenants } = this;
    const watch = new ExceptionWatch({ rules, pointers, tenants, clock, log });
    await watch.start(stopping);
    return [watch.run(stopping)];
  }

  configure(policy: Config["policy"]): void {
    this.policy.inputs.setLimits(policy);
    this.#budgets.setBudgets(budgetsOf(policy));
    this.rules.configure(configuredRules(policy));
  }

  /** Returns the operator's view of policy. */
  view(config: () => Config["policy"], lists: GuardParts["lists"]): GuardParts {
    const { attendance, coolDowns } = this.#shared.storage;
    const { policy, rules, pointers } = this;
    return { config, policy, rules, pointers, budgets: this.#budgets, attended: attendance, coolDowns, lists };
  }
}
