import type { AuditEntry } from "../../../model/audit.ts";
import type { Clock } from "../../../model/clock.ts";
import type { EmissaryError, ErrorCode } from "../../../model/errors.ts";
import type { RoomId, TenantId } from "../../../model/ids.ts";
import type { Logger } from "../../../model/logger.ts";
import type { AuditQueue } from "./audit-queue.ts";

/** The failures that are somebody's no. What policy refuses is not among them: the desk audits that, with its verdict. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["forbidden", "no-lease", "room-encrypted", "limited"]);

/** Refusals of one kind within this time are one row, milliseconds. */
const WINDOW_MS = 60_000;
/** Kinds that one tenant's refusals are told apart by within that time; all others of its are then one kind. */
const KINDS = 20;

/** What was refused: never content, only what the request was about. */
export interface Refused {
  readonly tenant: TenantId;
  /** Method and pattern of the path, such as `PUT /rooms/:roomId/send/:eventType/:txnId`. */
  readonly request: string;
  readonly roomId: RoomId | null;
}

interface Kind {
  readonly entry: AuditEntry;
  /** How often since the kind's newest row. */
  repeats: number;
}

/**
 * Audits what tenants are refused. The first of a kind is written at once; those that follow within a minute are counted, and
 * the minute's end writes their number. So a tenant that asks again and again costs a few rows a minute.
 */
export class Refusals {
  readonly #audit: Pick<AuditQueue, "note">;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #abort: AbortSignal;
  readonly #kinds = new Map<TenantId, Map<string, Kind>>();

  /** @param abort when it fires, what was counted is written. */
  constructor(audit: Pick<AuditQueue, "note">, clock: Clock, log: Logger, abort: AbortSignal) {
    this.#audit = audit;
    this.#clock = clock;
    this.#log = log;
    this.#abort = abort;
  }

  /** Takes note of a refusal, and returns before it is written: the answer does not wait for it. */
  note(refused: Refused, { code, reason }: EmissaryError): void {
    if (!REFUSALS.has(code)) return;
    const kinds = this.#kinds.get(refused.tenant) ?? new Map<string, Kind>();
    this.#kinds.set(refused.tenant, kinds);
    const asked = entryOf(refused, code, reason);
    const key = JSON.stringify(asked);
    const isOther = !kinds.has(key) && kinds.size >= KINDS;
    const known = kinds.get(isOther ? "" : key);
    if (known !== undefined) {
      known.repeats += 1;
      return;
    }
    const entry = isOther ? { ...asked, outcome: "various", roomId: null, detail: {} } : asked;
    void this.#keep(kinds, isOther ? "" : key, entry);
  }

  /** Writes a kind's first, and then, a minute at a time, how many followed, until none does. */
  async #keep(kinds: Map<string, Kind>, key: string, entry: AuditEntry): Promise<void> {
    const kind: Kind = { entry, repeats: 0 };
    kinds.set(key, kind);
    let times = 1;
    while (times > 0) {
      this.#write(entry, times);
      await this.#clock.sleep(WINDOW_MS, this.#abort);
      times = kind.repeats;
      kind.repeats = 0;
    }
    kinds.delete(key);
  }

  #write(entry: AuditEntry, times: number): void {
    const counted = { ...entry, detail: { ...entry.detail, times } };
    this.#audit.note(counted).catch((error: unknown) => this.#log.error("act.audit-failed", { error }));
  }
}

function entryOf({ tenant, request, roomId }: Refused, code: ErrorCode, reason: string | null): AuditEntry {
  return {
    actor: `tenant:${tenant}`,
    action: "request.refuse",
    outcome: code,
    roomId,
    detail: { request, reason },
  };
}
