import type { Database } from "better-sqlite3";
import { isRoomId, type RoomAlias, type RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { EntityKind, PolicyRule } from "../rule.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { Store } from "../../storage/store.ts";
import type { PinStore } from "./pins.ts";

/** A rule of the operator. An exception by one alias has the room that the alias stands for (`pin`). */
export type OperatorRule = Pick<PolicyRule, "kind" | "entity" | "verdict" | "reason" | "pin">;
export type RuleChange = "added" | "changed" | "unchanged";

type Row = Omit<PolicyRule, "hashed" | "pin"> & { readonly hashed: number; readonly pin: RoomId | null };

const COLUMNS = `source, kind, verdict, entity, hashed, reason, (SELECT room_id FROM alias_pins p
  WHERE p.source = r.source AND p.alias = r.entity AND r.kind = 'room' AND r.verdict = 'allow') AS pin`;

/** Stores the operator's rules, and those of policy lists as last read. Each call is one commit. */
export class RuleStore extends Store {
  readonly #audit: AuditStore;
  readonly #pins: PinStore;
  readonly #all = this.sql<[], Row>(`SELECT ${COLUMNS} FROM policy_rules r ORDER BY source, kind, entity, hashed`);
  readonly #find = this.sql<[string, string], Row>(
    `SELECT ${COLUMNS} FROM policy_rules r WHERE source = 'operator' AND kind = ? AND entity = ? AND hashed = 0`,
  );
  readonly #put = this.sql<[string, string, string, string, number, string | null, number]>(
    "INSERT INTO policy_rules (source, kind, verdict, entity, hashed, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?) " +
      "ON CONFLICT DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, at = excluded.at",
  );
  readonly #remove = this.sql<[string, string, string, number]>(
    "DELETE FROM policy_rules WHERE source = ? AND kind = ? AND entity = ? AND hashed = ?",
  );

  constructor(db: Database, audit: AuditStore, pins: PinStore) {
    super(db);
    this.#audit = audit;
    this.#pins = pins;
  }

  async all(): Promise<readonly PolicyRule[]> {
    return this.#all
      .all()
      .map(({ pin, ...row }) => ({ ...row, hashed: row.hashed === 1, ...(pin === null ? {} : { pin }) }));
  }

  /** Sets the operator's only rule about this entity, with an audit row if that changes something. */
  async set({ kind, entity, verdict, reason, pin }: OperatorRule, at: number): Promise<RuleChange> {
    return this.commit(() => {
      const had = this.#find.get(kind, entity);
      if (had?.verdict === verdict && had.reason === reason && had.pin === (pin ?? null)) return "unchanged";
      this.#put.run("operator", kind, verdict, entity, 0, reason, at);
      if (pin === undefined) this.#pins.drop("operator", entity);
      else this.#pins.put("operator", { alias: entity as RoomAlias, roomId: pin, at });
      const detail = pin === undefined ? {} : { stands_for: pin, stood_for: had?.pin ?? null };
      this.#note(`policy.${verdict}`, kind, entity, { reason, ...detail }, at);
      return had === undefined ? "added" : "changed";
    });
  }

  /** Removes the operator's rule, with an audit row. Returns false if there was none. */
  async remove(kind: EntityKind, entity: string, at: number): Promise<boolean> {
    return this.commit(() => {
      if (this.#remove.run("operator", kind, entity, 0).changes === 0) return false;
      this.#pins.drop("operator", entity);
      this.#note("policy.remove", kind, entity, {}, at);
      return true;
    });
  }

  /** Sets and removes some rules of a policy list. */
  async amendList(room: RoomId, set: readonly PolicyRule[], removed: readonly PolicyRule[], at: number): Promise<void> {
    this.commit(() => {
      for (const { kind, entity, hashed } of removed) this.#remove.run(room, kind, entity, Number(hashed));
      for (const { kind, verdict, entity, hashed, reason } of set) {
        this.#put.run(room, kind, verdict, entity, Number(hashed), reason, at);
      }
    });
  }

  #note(action: string, kind: EntityKind, entity: string, detail: JsonObject, at: number): void {
    const roomId = kind === "room" && isRoomId(entity) ? entity : null;
    this.#audit.write({ actor: "operator", action, outcome: "done", roomId, detail: { kind, entity, ...detail } }, at);
  }
}
