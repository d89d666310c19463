import type { Database, Statement } from "better-sqlite3";
import type { AnnotationStore, Annotation } from "../act/contracts.ts";
import type { EventId, RoomId, TenantId, UserId } from "../../model/ids.ts";

interface Row {
  event_id: string;
  real_id: string;
  room_id: string;
  tenant: string;
  persona: string | null;
}

export class SqliteAnnotationStore implements AnnotationStore {
  readonly #db: Database;
  readonly #find: Statement<[string], Row>;
  readonly #group: Statement<[string], Row>;
  readonly #count: Statement<[string], number>;
  readonly #add: Statement<[string, string, string, string, string | null]>;
  readonly #remove: Statement<[string]>;

  constructor(db: Database) {
    this.#db = db;
    this.#find = db.prepare("SELECT * FROM shared_annotations WHERE event_id = ?");
    this.#group = db.prepare("SELECT * FROM shared_annotations WHERE real_id = ? ORDER BY event_id");
    this.#count = db.prepare<[string], number>("SELECT count(*) FROM shared_annotations WHERE tenant = ?").pluck();
    this.#add = db.prepare(
      "INSERT INTO shared_annotations (event_id, real_id, room_id, tenant, persona) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#remove = db.prepare("DELETE FROM shared_annotations WHERE event_id = ?");
  }

  async find(eventId: string): Promise<Annotation | null> {
    const row = this.#find.get(eventId);
    return row === undefined ? null : annotationOf(row);
  }

  async group(realId: string): Promise<readonly Annotation[]> {
    return this.#group.all(realId).map(annotationOf);
  }

  async countOf(tenant: TenantId): Promise<number> {
    return this.#count.get(tenant) ?? 0;
  }

  async add(annotations: readonly Annotation[]): Promise<void> {
    this.#db
      .transaction(() => {
        for (const { eventId, realId, roomId, owner } of annotations) {
          this.#add.run(eventId, realId, roomId, owner.tenant, owner.persona);
        }
      })
      .immediate();
  }

  async remove(eventId: string): Promise<void> {
    this.#remove.run(eventId);
  }
}

function annotationOf(row: Row): Annotation {
  return {
    eventId: row.event_id as EventId,
    realId: row.real_id as EventId,
    roomId: row.room_id as RoomId,
    owner: { tenant: row.tenant as TenantId, persona: row.persona as UserId | null },
  };
}
