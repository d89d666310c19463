import type { Clock } from "../../../model/clock.ts";
import type { EmissaryError, ErrorCode } from "../../../model/errors.ts";
import type { RoomId, TenantId } from "../../../model/ids.ts";
import type { Logger } from "../../../model/logger.ts";
import { RepeatedEntries } from "../../../model/repeated-entries.ts";
import type { AuditQueue } from "./audit-queue.ts";

/** Errors that are refusals. Policy's are missing: the desk audits them with their verdict. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["forbidden", "no-lease", "room-encrypted", "limited"]);

/** Errors that are logged too, so that the developer notices what the software does in vain. */
const LOGGED: ReadonlySet<ErrorCode> = new Set([
  ...REFUSALS,
  "refused-by-policy",
  "not-in-namespace",
  "unrecognized",
  "method-not-allowed",
  "bad-parameter",
  "bad-request",
]);

/** Kinds logged of one tenant until the next start; further kinds are in the audit only. */
const LOGGED_KINDS = 50;

/** Kinds of refusals told apart for one tenant within a minute; all others count as one kind. */
const KINDS = 20;

/** What the refused request was about; never content. */
export interface Refused {
  readonly tenant: TenantId;
  /** Method and path pattern, for example `PUT /rooms/:roomId/send/:eventType/:txnId`. */
  readonly request: string;
  readonly roomId: RoomId | null;
}

/**
 * Audits tenants' refusals: constant repetition costs a few rows a minute. Logs each kind once, without the room: a
 * tenant does the same in vain in all of them.
 */
export class Refusals {
  readonly #entries: RepeatedEntries;
  readonly #log: Logger;
  readonly #logged = new Map<TenantId, Set<string>>();

  /** @param abort when it fires, counted refusals are written */
  constructor(audit: Pick<AuditQueue, "note">, clock: Clock, log: Logger, abort: AbortSignal) {
    this.#log = log;
    this.#entries = new RepeatedEntries({
      write: (entry) => audit.note(entry),
      kinds: KINDS,
      clock,
      abort,
      failed: (error) => log.error("act.audit-failed", { error }),
    });
  }

  /** Counts a refusal and returns before it is written: the answer does not wait. */
  note({ tenant, request, roomId }: Refused, { code, reason }: EmissaryError): void {
    if (LOGGED.has(code)) this.#logOnce(tenant, request, code, reason);
    if (!REFUSALS.has(code)) return;
    const what = { actor: `tenant:${tenant}`, action: "request.refuse", outcome: code };
    const entry = { ...what, roomId, detail: { request, reason } };
    const other = { ...entry, outcome: "various", roomId: null, detail: {} };
    void this.#entries.note({ group: tenant, entry, other }, JSON.stringify(entry));
  }

  #logOnce(tenant: TenantId, request: string, code: ErrorCode, reason: string | null): void {
    const kinds = this.#logged.get(tenant) ?? new Set<string>();
    this.#logged.set(tenant, kinds);
    const kind = `${request}\n${code}\n${reason ?? ""}`;
    if (kinds.has(kind) || kinds.size >= LOGGED_KINDS) return;
    kinds.add(kind);
    this.#log.warn("tenant.refused", { tenant, request, code, reason });
  }
}
