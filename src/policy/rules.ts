import type { Clock } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { RoomAlias, RoomId } from "../model/ids.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import { Signal } from "../concurrency/signal.ts";
import { faultInEntity } from "./entities.ts";
import type { EntityKind, PolicyRule } from "./rule.ts";
import { isByAlias, RuleBook } from "./rule-book.ts";
import type { PinStore } from "./store/pins.ts";
import type { OperatorRule, RuleChange, RuleStore } from "./store/rules.ts";

/** Most rules that the operator may make at run time. */
export const MAX_OPERATOR_RULES = 10_000;
const MAX_REASON = 1_000;

/** All rules in force, from all sources. Changes at run time are stored before they take effect. */
export class Rules {
  readonly changed = new Signal();
  readonly book = new RuleBook();

  readonly #store: RuleStore;
  readonly #pins: PinStore;
  readonly #clock: Clock;
  #configured: readonly PolicyRule[] = [];
  /** The rooms that the aliases of configured exceptions stand for. */
  readonly #configPins = new Map<string, RoomId>();
  /** Serializes changes, so that memory matches storage. */
  readonly #mutex = new KeyedMutex();

  constructor(store: RuleStore, pins: PinStore, clock: Clock) {
    this.#store = store;
    this.#pins = pins;
    this.#clock = clock;
  }

  /** Loads the stored rules. */
  async start(): Promise<void> {
    const bySource = Map.groupBy(await this.#store.all(), ({ source }) => source);
    for (const [source, rules] of bySource) this.book.replace(source, rules);
    const pins = await this.#pins.of("config");
    const wanted = new Set(this.#configured.filter(isByAlias).map(({ entity }) => entity));
    for (const { alias, roomId } of pins) {
      if (wanted.has(alias)) this.#configPins.set(alias, roomId);
      else await this.#pins.unpin("config", alias);
    }
    this.configure(this.#configured);
  }

  /** Replaces the configuration's rules. */
  configure(rules: readonly PolicyRule[]): void {
    this.#configured = rules;
    const wanted = new Set(rules.filter(isByAlias).map(({ entity }) => entity));
    for (const alias of this.#configPins.keys()) {
      if (wanted.has(alias)) continue;
      this.#configPins.delete(alias);
      // If this fails, the next start does it.
      void this.#mutex.run(null, () => this.#pins.unpin("config", alias as RoomAlias)).catch(() => undefined);
    }
    const pinned = rules.map((rule) => {
      const pin = isByAlias(rule) ? this.#configPins.get(rule.entity) : undefined;
      return pin === undefined ? rule : { ...rule, pin };
    });
    this.#replace("config", pinned);
  }

  /** Pins an alias of a configured exception to a room, unless it has a pin already. */
  pinConfigured(alias: RoomAlias, roomId: RoomId): Promise<void> {
    return this.#mutex.run(null, async () => {
      const isWanted = this.#configured.some((rule) => isByAlias(rule) && rule.entity === alias);
      if (!isWanted || this.#configPins.has(alias)) return;
      await this.#pins.pin("config", { alias, roomId, at: this.#clock.now() });
      this.#configPins.set(alias, roomId);
      this.configure(this.#configured);
    });
  }

  all(): readonly PolicyRule[] {
    return this.book.rules();
  }

  /**
   * Sets the operator's rule about an entity, and replaces an earlier one.
   * @throws EmissaryError `bad-request` if the text can match no entity of the kind, or if there are too many rules
   */
  set({ kind, entity, verdict, reason, pin }: OperatorRule): Promise<RuleChange> {
    const fault = faultInEntity(kind, entity) ?? faultInReason(reason);
    if (fault !== null) return Promise.reject(new EmissaryError("bad-request", `This is no rule: ${fault}.`));
    const rule: PolicyRule = {
      kind,
      entity: spelled(kind, entity),
      verdict,
      reason,
      hashed: false,
      source: "operator",
      ...(pin !== undefined && isByAlias({ kind, entity, verdict }) ? { pin } : {}),
    };
    return this.#mutex.run(null, async () => {
      const others = this.book.rules("operator").filter((had) => !isAbout(had, rule));
      if (others.length >= MAX_OPERATOR_RULES) {
        const sentence = `There are ${MAX_OPERATOR_RULES} rules already, and more are not kept: remove some, have a glob stand for many, or use a policy list.`;
        throw new EmissaryError("bad-request", sentence);
      }
      const change = await this.#store.set(rule, this.#clock.now());
      if (change !== "unchanged") this.#replace("operator", [...others, rule]);
      return change;
    });
  }

  /** Removes the operator's rule about an entity. Returns false if there was none. */
  remove(kind: EntityKind, entity: string): Promise<boolean> {
    const about = { kind, entity: spelled(kind, entity) };
    return this.#mutex.run(null, async () => {
      if (!(await this.#store.remove(kind, about.entity, this.#clock.now()))) return false;
      const left = this.book.rules("operator").filter((had) => !isAbout(had, about));
      this.#replace("operator", left);
      return true;
    });
  }

  /** Replaces a policy list's rules. `rules` has at most one about each entity. */
  replaceList(room: RoomId, rules: readonly PolicyRule[]): Promise<void> {
    return this.#mutex.run(null, async () => {
      // Writes differences only: a list of thousands commonly changes by one rule.
      const gone = new Map(this.book.rules(room).map((rule) => [keyOf(rule), rule]));
      const set = rules.filter((rule) => {
        const key = keyOf(rule);
        const had = gone.get(key);
        gone.delete(key);
        return had === undefined || had.verdict !== rule.verdict || had.reason !== rule.reason;
      });
      if (set.length === 0 && gone.size === 0) return;
      await this.#store.amendList(room, set, [...gone.values()], this.#clock.now());
      this.#replace(room, rules);
    });
  }

  #replace(source: PolicyRule["source"], rules: readonly PolicyRule[]): void {
    this.book.replace(source, rules);
    this.changed.notify();
  }
}

function isAbout(rule: PolicyRule, { kind, entity }: { readonly kind: EntityKind; readonly entity: string }): boolean {
  return rule.kind === kind && rule.entity === entity;
}

function keyOf({ kind, hashed, entity }: PolicyRule): string {
  return `${kind}\n${Number(hashed)}\n${entity}`;
}

/** Server names are case-insensitive: one server has one rule. */
function spelled(kind: EntityKind, entity: string): string {
  return kind === "server" ? entity.toLowerCase() : entity;
}

function faultInReason(reason: string | null): string | null {
  return reason !== null && reason.length > MAX_REASON ? `its reason is longer than ${MAX_REASON} characters` : null;
}
