import type { AuditEntry } from "../../model/audit.ts";

export interface AuditWriter {
  /** Writes the entries in one commit. */
  noteAll(entries: readonly AuditEntry[], at: number): Promise<void>;
}
