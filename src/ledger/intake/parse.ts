import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { eventFault, isRoomEvent, type RoomEvent } from "../../model/event.ts";
import { sourcedList } from "../../model/json-text.ts";
import { isJsonObject, isTextDeeperThan, MAX_NESTING, shallow, type JsonValue } from "../../model/json.ts";
import type { SetAside } from "../ledger.ts";

/** So much of a faulty event is kept. */
const ASIDE_BYTES = 4_096;

export interface ParsedTransaction {
  readonly events: readonly RoomEvent[];
  readonly setAside: readonly SetAside[];
  /** How many ephemeral events and to-device messages came along. */
  readonly ephemeral: number;
  /** Typing, receipts and presence, as they came; to-device messages are not among them. */
  readonly passing: readonly JsonValue[];
  /** True when all of its events are sound and it holds nothing else that would be kept with them. */
  readonly plain: boolean;
  /** Gives the events their texts, for when they are to be written again. */
  readonly withTexts: () => void;
}

/** Of a transaction's parts that are not room events, under their stable and unstable names (spec v1.13, MSC2409, MSC4203). */
const EPHEMERAL_KEYS = ["ephemeral", "de.sorunome.msc2409.ephemeral", "to_device", "de.sorunome.msc2409.to_device"];

/**
 * Parses the body of a transaction. A thing among the events that is none is set aside: refusing the transaction would make
 * the homeserver repeat it for ever, and its neighbours would never arrive.
 * @throws EmissaryError `not-json` or `bad-request` where the body is no transaction at all.
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
  // Looked for in the text first, since going through the values costs more, and hardly any transaction has such.
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
 * An event that everything here can go through, and write again: what lies too deep in it is left out, and that is set aside. The event
 * itself counts and is delivered as any other, or whoever put the pseudouser out in such a way would not have.
 */
function withoutDepths(event: RoomEvent, setAside: SetAside[]): RoomEvent {
  const kept = shallow(event);
  if (kept !== event)
    setAside.push({ fault: "nested too deeply: so much of it is left out", json: `event ${event.event_id}` });
  return kept;
}

/** Synapse sends the parts that it has nothing for as empty lists and objects. */
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
