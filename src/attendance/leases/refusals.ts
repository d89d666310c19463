import type { AuditEntry } from "../../model/audit.ts";
import type { Clock } from "../../model/clock.ts";
import type { RoomId, ServerName } from "../../model/ids.ts";
import { holderText, type Holder, type HolderKind } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import { RepeatedEntries } from "../../model/repeated-entries.ts";
import type { Verdict } from "../../model/verdict.ts";

/** Within a minute, refusals with one code are told apart by this many rooms and holders; all others are one row. */
const KINDS = 5;

export interface RefusedWish {
  /** Null for a room that did not exist yet. */
  readonly roomId: RoomId | null;
  readonly holder: Holder;
  readonly via: readonly ServerName[];
}

export interface LeaseRefusalsParts {
  readonly write: (entry: AuditEntry) => Promise<void>;
  /** Called for every refusal. Counts them. */
  readonly refused: (code: string, holder: HolderKind) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortSignal;
}

/** Counts and audits refused wishes. A holder who is refused all day costs a few rows a minute. */
export class LeaseRefusals {
  readonly #refused: LeaseRefusalsParts["refused"];
  readonly #entries: RepeatedEntries;

  constructor({ write, refused, clock, log, abort }: LeaseRefusalsParts) {
    this.#refused = refused;
    const failed = (error: unknown): void => log.error("desk.audit-failed", { error });
    this.#entries = new RepeatedEntries({ write, kinds: KINDS, clock, abort, failed });
  }

  /**
   * Resolves once the refusal is in the audit, if it is the first of its kind, so that its reader finds it there.
   * Later ones do not wait. A full disk delays nobody: a refusal has changed nothing.
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
    // Tenants are few, and the operator should find the name of one that is often refused. Users are countless.
    const who = holder.kind === "tenant" ? actor : holder.kind;
    const other = { ...entry, actor: who, roomId: null, detail: {} };
    return this.#entries.note({ group: `${who}\n${code}`, entry, other }, `${actor}\n${roomId ?? ""}`);
  }
}
