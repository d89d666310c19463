import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { eventFault, isRoomEvent, type RoomEvent } from "../../model/event.ts";
import { sourcedList } from "../../model/json-text.ts";
import { isJsonObject, isTextDeeperThan, MAX_NESTING, shallow, type JsonValue } from "../../model/json.ts";
import type { SetAside } from "../store/ledger.ts";

/** Bytes kept of a faulty event. */
const ASIDE_BYTES = 4_096;

export interface ParsedTransaction {
  readonly events: readonly RoomEvent[];
  readonly setAside: readonly SetAside[];
  /** Number of ephemeral events and to-device messages in the transaction. */
  readonly ephemeral: number;
  /** Typing, receipts and presence as received, without to-device messages. */
  readonly passing: readonly JsonValue[];
  /** True if all its events are sound and it holds nothing else that would be kept with them. */
  readonly plain: boolean;
  /** Gives the events their texts, for when they are written again. */
  readonly withTexts: () => void;
}

/** Other parts of a transaction, under their stable and unstable names (spec v1.13, MSC2409, MSC4203). */
const EPHEMERAL_KEYS = ["ephemeral", "de.sorunome.msc2409.ephemeral", "to_device", "de.sorunome.msc2409.to_device"];

/**
 * Parses the body of a transaction. An entry that is no event is set aside: if Emissary refused the transaction, the
 * homeserver would repeat it forever, and the other events would never arrive.
 * @throws EmissaryError `not-json` or `bad-request` if the body is no transaction at all.
 */
export function parseTransaction(body: Buffer): ParsedTransaction {
  const text = body.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EmissaryError("not-json", `The transaction is not JSON: ${sentenceOf(error)}.`);
  }
  if (!isJsonObject(value)) throw new EmissaryError("bad-request", "The transaction is not a JSON object.");
  const given: unknown = value["events"] ?? [];
  if (!Array.isArray(given)) throw new EmissaryError("bad-request", "The transaction's `events` are not a list.");

  const events: RoomEvent[] = [];
  const setAside: SetAside[] = [];
  // The text is checked first: walking the values costs more, and hardly any transaction is so deep.
  const isDeep = isTextDeeperThan(MAX_NESTING, body);
  const withTexts = (): void => sourcedList(value, text, "events");
  if (isDeep) withTexts();
  for (const thing of given as unknown[]) {
    if (isRoomEvent(thing)) events.push(isDeep ? withoutDepths(thing, setAside) : thing);
    else setAside.push({ fault: eventFault(thing) ?? "unknown", json: excerpt(thing) });
  }
  let ephemeral = 0;
  for (const key of EPHEMERAL_KEYS) {
    const part = value[key];
    if (Array.isArray(part)) ephemeral += part.length;
  }
  const key = (value["ephemeral"] ?? null) === null ? "de.sorunome.msc2409.ephemeral" : "ephemeral";
  const passing = value[key];
  sourcedList(value, text, key);
  const alone = Object.entries(value).every(([key, part]) => key === "events" || isEmpty(part));
  return {
    events,
    setAside,
    ephemeral,
    passing: !Array.isArray(passing) ? [] : isDeep ? passing.map((event) => shallow(event)) : passing,
    plain: setAside.length === 0 && alone,
    withTexts,
  };
}

/**
 * Returns an event without the parts that are nested too deep to walk and write; these are set aside. The event still
 * counts: otherwise a user could hide a kick of the pseudouser in this way.
 */
function withoutDepths(event: RoomEvent, setAside: SetAside[]): RoomEvent {
  const kept = shallow(event);
  if (kept !== event)
    setAside.push({ fault: "nested too deeply: so much of it is left out", json: `event ${event.event_id}` });
  return kept;
}

/** Synapse sends empty lists and objects for parts without content. */
function isEmpty(part: JsonValue): boolean {
  return Array.isArray(part) ? part.length === 0 : isJsonObject(part) && Object.keys(part).length === 0;
}

function excerpt(thing: unknown): string {
  try {
    return JSON.stringify(thing).slice(0, ASIDE_BYTES);
  } catch {
    return "nested too deeply to be written";
  }
}
