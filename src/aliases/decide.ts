import type { AliasFacts, AliasLine, AliasRepair, AliasState, KnownAlias } from "./alias.ts";
import { clauseOf, type EmissaryError } from "../model/errors.ts";
import type { RoomAlias, RoomId, ServerName } from "../model/ids.ts";

/** Why an alias is checked. Only sweeps and the operator retry a refused alias; events in a room do not. */
export type Occasion = "event" | "sweep";

export interface AliasOptions {
  readonly keep: boolean;
  readonly sweep: number;
  readonly emptyRooms: "keep" | "release";
  readonly emptyAfter: number;
}

export interface AliasQuestion {
  readonly alias: RoomAlias;
  /** The room to which the directory points the alias, or null. */
  readonly target: RoomId | null;
  readonly facts: AliasFacts;
  readonly occasion: Occasion;
  readonly now: number;
  readonly options: Pick<AliasOptions, "emptyRooms" | "emptyAfter">;
}

export interface AliasDecision {
  /** Rooms whose leases to release. */
  readonly release: readonly RoomId[];
  /** `take`: take a lease in the room; `forget`: the alias is gone; `rest`: nothing more. */
  readonly then: "take" | "rest" | "forget";
  /** The record to store; null to keep the stored one. */
  readonly record: KnownAlias | null;
}

/** Decides what to do with an alias. Pure. */
export function decide({ alias, target, facts, occasion, now, options }: AliasQuestion): AliasDecision {
  const { known, held, ended } = facts;
  if (target === null) return { release: held, then: "forget", record: null };
  const before = known?.roomId === target ? known : null;
  const emptySince =
    facts.hasOrdinary === null ? (before?.emptySince ?? null) : facts.hasOrdinary ? null : (before?.emptySince ?? now);
  const others = held.filter((roomId) => roomId !== target);
  const record = (state: AliasState, code: string | null, reason: string | null): KnownAlias => ({
    alias,
    roomId: target,
    state,
    code,
    reason,
    since: before?.state === state ? before.since : now,
    checkedAt: now,
    emptySince,
    movingTo: null,
  });
  const isGivenUp = options.emptyRooms === "release" && emptySince !== null && now - emptySince >= options.emptyAfter;
  if (isGivenUp) return { release: held, then: "rest", record: record("refused", "empty", EMPTY) };
  if (held.includes(target)) return { release: others, then: "rest", record: record("kept", null, null) };
  const wasRefused = before?.state === "refused" || before?.state === "dangling";
  const wasPutOut = before !== null && ended !== null && ended !== "released" && ended !== "upgraded";
  if (occasion === "event" && (wasRefused || wasPutOut)) return { release: others, then: "rest", record: null };
  return { release: others, then: "take", record: record("unknown", "joining", ON_ITS_WAY) };
}

const ON_ITS_WAY = "the pseudouser is on its way";
const EMPTY = "no ordinary user has been in the room for longer than aliases.empty_after";

/** Returns the state of an alias whose lease policy refused. */
export function refused(
  { code, reason, message }: Pick<EmissaryError, "code" | "reason" | "message">,
  /** Whether our own server is in the room; null if it was not asked. */
  isResident: boolean | null,
  /** Servers that are said to be in the room. */
  via: readonly ServerName[],
): Pick<KnownAlias, "state" | "code" | "reason"> {
  if (isPassing(code)) return { state: "unknown", code: reason, reason: clauseOf(message) };
  if (reason !== "not-visible" || isResident !== false)
    return { state: "refused", code: reason, reason: clauseOf(message) };
  if (via.length === 0) {
    return { state: "dangling", code: "no-server", reason: "no server that is known is in the room any more" };
  }
  return {
    state: "unknown",
    code: "not-visible",
    reason: `our server is not in the room, and none that may be (${via.join(", ")}) tells of it: it is closed to us, or dead`,
  };
}

/** Whether a refusal is temporary. */
export function isPassing(code: EmissaryError["code"]): boolean {
  return code === "limited";
}

export type AliasStatus = Pick<KnownAlias, "state" | "code" | "reason" | "since">;

/** Returns an alias's current status: the result of the newest check, and the state of its lease since. Pure. */
export function statusOf({ known, isHeld, isPresent, ended, endedAt, attendance }: AliasLine): AliasStatus {
  const { state, code, reason, since } = known;
  if (isHeld && isPresent) return { state: "kept", code: null, reason: null, since };
  if (isHeld) {
    return { state: "unknown", code: attendance.code ?? "joining", reason: attendance.reason ?? ON_ITS_WAY, since };
  }
  const hadLease = state === "kept" || code === "joining";
  if (!hadLease || ended === null) return { state, code, reason, since };
  const endedSince = endedAt ?? since;
  if (ended === "refused") {
    const found = isNobodyThere(attendance.code, attendance.reason) ? "dangling" : "refused";
    return { state: found, code: attendance.code ?? "refused", reason: attendance.reason, since: endedSince };
  }
  if (ended === "kicked" || ended === "banned" || ended === "withdrawn") {
    return { state: "refused", code: ended, reason: `the pseudouser was ${ended}`, since: endedSince };
  }
  return { state: "unknown", code: ended, reason: "it is looked at again in the next sweep", since: endedSince };
}

/** Synapse answers a join 404 if no server is known to be in the room; others answer M_UNKNOWN with a text. */
function isNobodyThere(code: string | null, reason: string | null): boolean {
  return code === "M_NOT_FOUND" || (code === "M_UNKNOWN" && /no (?:known )?servers/i.test(reason ?? ""));
}

/** Returns the repair for an alias, or null if we can do nothing. Pure. */
export function repairFor(
  { replacement, named }: Pick<AliasLine, "replacement" | "named">,
  { state }: AliasStatus,
): AliasRepair | null {
  if (state !== "dangling" && state !== "refused") return null;
  if (replacement !== null) return { act: "point", roomId: replacement, by: "replaced" };
  const [first] = named;
  if (first !== undefined && named.length === 1) return { act: "point", roomId: first, by: "named" };
  // A room that refuses us may be open to people: a private room, or one whose operator does not want us.
  return state === "dangling" ? { act: "remove" } : null;
}

export function isSameRepair(one: AliasRepair, other: AliasRepair): boolean {
  return one.act === other.act && (one.act !== "point" || (other.act === "point" && one.roomId === other.roomId));
}

/** Returns what the operator can do, as a sentence, or null if nothing needs to be done. Pure. */
export function adviceFor(
  { known, replacement }: Pick<AliasLine, "known" | "replacement">,
  status: AliasStatus,
): string | null {
  const { state, code } = status;
  if (state === "kept") {
    return replacement === null
      ? null
      : `The room was replaced by ${replacement}: point the alias there, in that room's settings.`;
  }
  if (repairFor({ replacement, named: [] }, status) !== null) return "emissary aliases --repair mends it.";
  if (code === "empty")
    return "It is kept again once somebody is in the room; aliases.empty_rooms says whether such rooms are kept.";
  if (state === "unknown") return "It is looked at again; nothing need be done yet.";
  if (code === "join-rule" || code === "not-visible" || code === "M_FORBIDDEN") {
    return `Private rooms are kept only where the pseudouser is already: emissary policy allow '${known.roomId}', invite it, and emissary rooms join '${known.roomId}'.`;
  }
  return `emissary policy explain '${known.alias}' says more.`;
}
