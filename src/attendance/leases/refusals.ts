import type { AuditEntry } from "../../model/audit.ts";
import type { Clock } from "../../model/clock.ts";
import type { RoomId, ServerName } from "../../model/ids.ts";
import { holderText, type Holder, type HolderKind } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import { RepeatedEntries } from "../../model/repeated-entries.ts";
import type { Verdict } from "../../model/verdict.ts";

/** Rooms and holders that refusals with one code are told apart by within a minute; all others are then one row. */
const KINDS = 5;

/** What was wished for in vain. */
export interface RefusedWish {
  /** Null for a room that was yet to be made. */
  readonly roomId: RoomId | null;
  readonly holder: Holder;
  readonly via: readonly ServerName[];
}

export interface LeaseRefusalsParts {
  readonly write: (entry: AuditEntry) => Promise<void>;
  /** Told of every refusal, for who counts them. */
  readonly refused: (code: string, holder: HolderKind) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortSignal;
}

/** Counts and audits the wishes that policy refuses. Whoever wishes in vain all day costs a few rows a minute. */
export class LeaseRefusals {
  readonly #refused: LeaseRefusalsParts["refused"];
  readonly #entries: RepeatedEntries;

  constructor({ write, refused, clock, log, abort }: LeaseRefusalsParts) {
    this.#refused = refused;
    const failed = (error: unknown): void => log.error("desk.audit-failed", { error });
    this.#entries = new RepeatedEntries({ write, kinds: KINDS, clock, abort, failed });
  }

  /**
   * Resolves once the refusal is in the audit, where it is the first of its kind: who is told of it finds it there. The others do
   * not wait, and neither does anybody for a disk that is full: a refusal has done nothing that would have to be known.
   */
  note({ roomId, holder, via }: RefusedWish, { code, inputs }: Pick<Verdict, "code" | "inputs">): Promise<void> {
    this.#refused(code, holder.kind);
    const actor = holderText(holder);
    const entry: AuditEntry = {
      actor,
      action: "lease.take",
      outcome: code,
      roomId,
      detail: { via: [...via], inputs: { ...inputs } },
    };
    // Tenants are few, and one that is refused much is to be found by its name; of users there is no end.
    const who = holder.kind === "tenant" ? actor : holder.kind;
    const other = { ...entry, actor: who, roomId: null, detail: {} };
    return this.#entries.note({ group: `${who}\n${code}`, entry, other }, `${actor}\n${roomId ?? ""}`);
  }
}
