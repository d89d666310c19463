import type { Edit } from "./held.ts";
import type { Place } from "./places.ts";
import type { PseudouserCounts } from "./rules.ts";

export interface Frame {
  readonly isList: boolean;
  readonly place: Place;
  /** Its key in the object around it. */
  readonly key: string | null;
  isEmpty: boolean;
  hasKept: boolean;
  /** Where the newest member ends, or the first may begin. */
  lastEnd: number;
  /** Where a cut of leading members begins; -1 if there is none. It ends at the next member, to include the comma. */
  open: number;
  ownRoom: string | null;
  readonly counts: { readonly edit: Edit; readonly which: keyof PseudouserCounts; readonly count: unknown }[];
  live: { readonly edit: Edit; readonly count: unknown } | null;
  timeline: { readonly length: number; readonly leftOut: readonly number[] } | null;
  length: number;
  readonly leftOut: number[];
}

export function newFrame(isList: boolean, place: Place, key: string | null, begin: number): Frame {
  const told = { ownRoom: null, counts: [], live: null, timeline: null };
  return {
    isList,
    place,
    key,
    isEmpty: true,
    hasKept: false,
    lastEnd: begin,
    open: -1,
    ...told,
    length: 0,
    leftOut: [],
  };
}
