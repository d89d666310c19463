import type { Owner } from "../../model/attribution.ts";
import type { EventId, RoomId, TenantId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** A user's annotation, and the homeserver's event that represents it. */
export interface Annotation {
  readonly eventId: EventId;
  readonly realId: EventId;
  readonly roomId: RoomId;
  readonly owner: Owner;
}

type Row = Omit<Annotation, "owner"> & Owner;

const SELECT =
  "SELECT event_id AS eventId, real_id AS realId, room_id AS roomId, tenant, persona FROM shared_annotations";

/** Annotations that several users share. */
export class SqliteAnnotationStore extends Store {
  readonly #find = this.sql<[string], Row>(`${SELECT} WHERE event_id = ?`);
  readonly #group = this.sql<[string], Row>(`${SELECT} WHERE real_id = ? ORDER BY event_id`);
  readonly #count = this.value<[string], number>("SELECT count(*) FROM shared_annotations WHERE tenant = ?");
  readonly #add = this.sql<[Row]>(`
    INSERT INTO shared_annotations (event_id, real_id, room_id, tenant, persona)
    VALUES (@eventId, @realId, @roomId, @tenant, @persona) ON CONFLICT DO NOTHING`);
  readonly #remove = this.sql<[string]>("DELETE FROM shared_annotations WHERE event_id = ?");

  async find(eventId: string): Promise<Annotation | null> {
    const row = this.#find.get(eventId);
    return row === undefined ? null : annotationOf(row);
  }

  /** Returns all that share one event at the homeserver; empty if only one user has it. */
  async group(realId: string): Promise<readonly Annotation[]> {
    return this.#group.all(realId).map(annotationOf);
  }

  async countOf(tenant: TenantId): Promise<number> {
    return this.#count.get(tenant) ?? 0;
  }

  /** Adds annotations. Existing ones stay unchanged. */
  async add(annotations: readonly Annotation[]): Promise<void> {
    this.commit(() => {
      for (const { owner, ...rest } of annotations) this.#add.run({ ...rest, ...owner });
    });
  }

  async remove(eventId: string): Promise<void> {
    this.#remove.run(eventId);
  }
}

function annotationOf({ tenant, persona, ...rest }: Row): Annotation {
  return { ...rest, owner: { tenant, persona } };
}
