import { countedBy, MAX_DEPTH, namesHeroes, placeBelow, TOP, type Place } from "./places.ts";
import { isPseudouser } from "./pseudouser.ts";
import {
  invitersIn,
  isEphemeral,
  isFields,
  isHidden,
  less,
  lessLive,
  maskHeroes,
  type Fields,
  type Hidden,
} from "./rules.ts";

/** Masks parsed JSON. Returns the same object if nothing is masked, else a copy. Masking twice lowers counts twice. */
export function maskAnswer<T>(answer: T, hidden: Hidden): T {
  return maskValue(answer, TOP, 0, hidden) as T;
}

/** @param depth number of objects and lists around the value */
export function maskValue(value: unknown, place: Place, depth: number, hidden: Hidden): unknown {
  if (depth >= MAX_DEPTH) return value;
  if (Array.isArray(value)) return maskList(value, place, depth, hidden);
  return isFields(value) ? maskFields(value, place, depth, hidden) : value;
}

export function placeInList(list: readonly unknown[], place: Place, hidden: Hidden): Place {
  return place.isStripped ? { ...place, isStripped: false, spared: invitersIn(list, hidden.also) } : place;
}

export function placeOfElement(element: Fields, place: Place): Place {
  return { ...place, isListed: true, isServerContent: place.isServerContent || isEphemeral(element) };
}

function maskList(list: readonly unknown[], place: Place, depth: number, hidden: Hidden): unknown {
  const inner = placeInList(list, place, hidden);
  const kept = list.filter((element) => !isHidden(element, inner.spared, hidden.also));
  const masked = kept.map((element) =>
    maskValue(element, isFields(element) ? placeOfElement(element, inner) : inner, depth + 1, hidden),
  );
  return masked.length === list.length && masked.every((element, index) => element === list[index]) ? list : masked;
}

function maskFields(fields: Fields, place: Place, depth: number, hidden: Hidden): unknown {
  let isSame = true;
  const masked: [key: string, value: unknown][] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (!place.isGrouped && isPseudouser(key, hidden.also)) {
      isSame = false;
      continue;
    }
    const left = maskField(fields, key, place, depth, hidden);
    if (left !== value) isSame = false;
    masked.push([key, left]);
  }
  return isSame ? fields : Object.fromEntries(masked);
}

function maskField(fields: Fields, key: string, place: Place, depth: number, hidden: Hidden): unknown {
  const value = fields[key];
  const counted = countedBy(key, place);
  if (counted !== null) {
    const roomId = place.roomId ?? fields["room_id"];
    return typeof roomId === "string" ? less(value, counted, hidden, roomId) : value;
  }
  if (key === "num_live") return maskLive(value, fields["timeline"], place, hidden);
  if (namesHeroes(key) && Array.isArray(value)) return maskHeroes(value, hidden, place.roomId);
  const below = placeBelow(place, key);
  return below === null ? value : maskValue(value, below, depth + 1, hidden);
}

function maskLive(live: unknown, timeline: unknown, place: Place, hidden: Hidden): unknown {
  if (!Array.isArray(timeline)) return live;
  const { spared } = placeInList(timeline, place, hidden);
  const leftOut = [...timeline.keys()].filter((index) => isHidden(timeline[index], spared, hidden.also));
  return lessLive(live, timeline.length, leftOut);
}
