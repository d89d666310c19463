import type { Database, Statement } from "better-sqlite3";
import { isRoomId, type RoomAlias, type RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { EntityKind, PolicyRule, RuleSource } from "../rule.ts";
import type { OperatorRule, RuleChange, RuleStore } from "../rules.ts";
import type { AuditStore } from "../../storage/audit.ts";
import type { SqlitePinStore } from "./pins.ts";

interface Row {
  source: string;
  kind: string;
  verdict: string;
  entity: string;
  hashed: number;
  reason: string | null;
  pin: string | null;
}

export class SqliteRuleStore implements RuleStore {
  readonly #db: Database;
  readonly #audit: AuditStore;
  readonly #pins: SqlitePinStore;
  readonly #all: Statement<[], Row>;
  readonly #find: Statement<[string, string], Row>;
  readonly #put: Statement;
  readonly #remove: Statement<[string, string, string, number]>;

  constructor(db: Database, audit: AuditStore, pins: SqlitePinStore) {
    this.#db = db;
    this.#audit = audit;
    this.#pins = pins;
    const columns =
      "SELECT source, kind, verdict, entity, hashed, reason, (SELECT room_id FROM alias_pins p WHERE p.source = r.source " +
      "AND p.alias = r.entity AND r.kind = 'room' AND r.verdict = 'allow') AS pin FROM policy_rules r";
    this.#all = db.prepare(`${columns} ORDER BY source, kind, entity, hashed`);
    this.#find = db.prepare(`${columns} WHERE source = 'operator' AND kind = ? AND entity = ? AND hashed = 0`);
    this.#put = db.prepare(
      "INSERT INTO policy_rules (source, kind, verdict, entity, hashed, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, at = excluded.at",
    );
    this.#remove = db.prepare("DELETE FROM policy_rules WHERE source = ? AND kind = ? AND entity = ? AND hashed = ?");
  }

  async all(): Promise<readonly PolicyRule[]> {
    return this.#all.all().map(ruleOf);
  }

  async set({ kind, entity, verdict, reason, pin }: OperatorRule, at: number): Promise<RuleChange> {
    return this.#db
      .transaction((): RuleChange => {
        const had = this.#find.get(kind, entity);
        if (had?.verdict === verdict && had.reason === reason && had.pin === (pin ?? null)) return "unchanged";
        this.#put.run("operator", kind, verdict, entity, 0, reason, at);
        if (pin === undefined) this.#pins.drop("operator", entity);
        else this.#pins.put("operator", { alias: entity as RoomAlias, roomId: pin, at });
        const detail = pin === undefined ? {} : { stands_for: pin, stood_for: had?.pin ?? null };
        this.#note(`policy.${verdict}`, kind, entity, { reason, ...detail }, at);
        return had === undefined ? "added" : "changed";
      })
      .immediate();
  }

  async remove(kind: EntityKind, entity: string, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        if (this.#remove.run("operator", kind, entity, 0).changes === 0) return false;
        this.#pins.drop("operator", entity);
        this.#note("policy.remove", kind, entity, {}, at);
        return true;
      })
      .immediate();
  }

  async amendList(room: RoomId, set: readonly PolicyRule[], removed: readonly PolicyRule[], at: number): Promise<void> {
    this.#db
      .transaction(() => {
        for (const { kind, entity, hashed } of removed) this.#remove.run(room, kind, entity, Number(hashed));
        for (const { kind, verdict, entity, hashed, reason } of set) {
          this.#put.run(room, kind, verdict, entity, Number(hashed), reason, at);
        }
      })
      .immediate();
  }

  #note(action: string, kind: EntityKind, entity: string, detail: JsonObject, at: number): void {
    const roomId = kind === "room" && isRoomId(entity) ? entity : null;
    this.#audit.write({ actor: "operator", action, outcome: "done", roomId, detail: { kind, entity, ...detail } }, at);
  }
}

function ruleOf(row: Row): PolicyRule {
  return {
    kind: row.kind as EntityKind,
    verdict: row.verdict as PolicyRule["verdict"],
    entity: row.entity,
    hashed: row.hashed === 1,
    reason: row.reason,
    source: row.source as RuleSource,
    ...(row.pin === null ? {} : { pin: row.pin as RoomId }),
  };
}
