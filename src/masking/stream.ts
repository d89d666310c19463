import { maskValue, placeInList, placeOfElement } from "./answer.ts";
import { Frame, HeldPart, joined } from "./held.ts";
import { Finder, elementNeedles, pseudouserNeedles } from "./needles.ts";
import { countedBy, MAX_DEPTH, namesHeroes, placeBelow, TOP, type Place } from "./places.ts";
import { isPseudouser } from "./pseudouser.ts";
import { isFields, isHidden, less, lessLive, maskHeroes, type Hidden } from "./rules.ts";
import { ValueEnd } from "./value-end.ts";

/** Events are at most 64 KiB, and somewhat more with the homeserver's additions. */
const MAX_HELD = 256 * 1024;

const [QUOTE, AT, COMMA, COLON, BACKSLASH] = [0x22, 0x40, 0x2c, 0x3a, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NOTHING = new Uint8Array();

/** A value being skipped: to keep, to remove, or to decide on once it is complete. */
interface Passing {
  readonly start: number;
  readonly value: number;
  readonly as: "kept" | "cut" | "cut word" | "element" | "heroes" | "stripped";
  readonly place: Place;
  readonly key: string | null;
}

/**
 * Masks an answer that is JSON in UTF-8 and arrives in pieces, as {@link maskAnswer} would mask the whole. Holds one
 * value at a time, a list element that may have to be removed, and parses only elements that name a pseudouser.
 * Everything else goes on byte for byte. An element larger than the bound is no event, and is read piece by piece. If
 * it turns out to be no JSON, the rest goes on unchanged.
 */
export class MaskingStream {
  readonly #hidden: Hidden;
  readonly #bound: number;
  readonly #held = new HeldPart();
  readonly #names: readonly Finder[];
  readonly #all: readonly Finder[];
  readonly #frames: Frame[] = [];
  readonly #end = new ValueEnd();
  #state: "value" | "member" | "after" | "passing" | "done" | "lost" = "value";
  #passing: Passing | null = null;
  #at = 0;
  #isLast = false;

  /** @param bound most bytes held of one value */
  constructor(hidden: Hidden, bound: number = MAX_HELD) {
    this.#hidden = hidden;
    this.#bound = bound;
    this.#names = pseudouserNeedles(hidden.also).map((needle) => new Finder(needle));
    this.#all = elementNeedles(hidden.also).map((needle) => new Finder(needle));
  }

  /** Whether it was JSON to its end. */
  get isWhole(): boolean {
    return this.#state === "done";
  }

  get hasMasked(): boolean {
    return this.#held.hasChanged;
  }

  /** Takes the next piece and returns what can go on. */
  push(piece: Uint8Array): Uint8Array {
    this.#held.add(piece);
    const parts: Uint8Array[] = [];
    do {
      this.#attempt(() => {
        while (this.#step());
      });
      parts.push(this.#held.take(this.#safe()));
      if (this.#held.bytes.length <= this.#bound) break;
      this.#attempt(() => this.#letGo());
    } while (this.#held.bytes.length > 0);
    return joined(parts);
  }

  end(): Uint8Array {
    this.#isLast = true;
    const rest = this.push(NOTHING);
    this.#held.giveUp();
    return joined([rest, this.#held.take(this.#held.end)]);
  }

  #attempt(doing: () => void): void {
    try {
      doing();
    } catch (error) {
      // No JSON, or nested too deeply to be written again.
      if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
      this.#held.giveUp();
      this.#state = "lost";
    }
  }

  /** Advances. Returns false if more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case "value": {
        const at = this.#held.space(this.#at);
        return at !== -1 && this.#value(at, at, TOP, null);
      }
      case "member":
        return this.#member(this.#frame());
      case "after":
        return this.#after(this.#frame());
      case "passing":
        return this.#pass();
      case "done":
        if (this.#held.space(this.#at) !== -1) throw new SyntaxError("there is more than one value");
        this.#at = this.#held.end;
        return false;
      case "lost":
        return false;
    }
  }

  /** Returns the place before which everything is decided. */
  #safe(): number {
    if (this.#state === "done" || this.#state === "lost") return this.#held.end;
    const frame = this.#frames.at(-1);
    const passing = this.#passing;
    if (passing?.as === "kept") return this.#end.reached;
    if (frame === undefined) return passing === null ? this.#at : passing.start;
    if (passing?.as === "cut") {
      this.#cut(frame, passing.start, this.#end.reached);
      if (frame.open !== -1) this.#held.cut(frame.open, (frame.open = this.#end.reached));
    }
    return frame.open === -1 ? frame.lastEnd : frame.open;
  }

  /** Keeps undecided values unchanged, because too much is held. */
  #letGo(): void {
    const passing = this.#passing;
    if (this.#held.giveUp()) return;
    if (passing === null) throw new SyntaxError("a key or a number does not end");
    const { value, as, place, key } = passing;
    this.#descend(value, as === "stripped" ? { ...place, isStripped: false, spared: null } : place, key);
  }

  #member(frame: Frame): boolean {
    const at = this.#held.space(this.#at);
    if (at === -1) return false;
    if (frame.isEmpty && this.#held.byte(at) === (frame.isList ? CLOSE_LIST : CLOSE_OBJECT))
      return this.#close(frame, at);
    if (frame.open !== -1) {
      this.#held.cut(frame.open, at);
      frame.open = -1;
      frame.lastEnd = at;
      this.#at = at;
    }
    const hasGone = frame.isList ? this.#element(frame, at) : this.#field(frame, at);
    if (hasGone) frame.isEmpty = false;
    return hasGone;
  }

  #element(frame: Frame, at: number): boolean {
    const byte = this.#held.byte(at);
    if (byte === OPEN_OBJECT)
      return this.#passOver({ start: at, value: at, as: "element", place: frame.place, key: null });
    if (byte === QUOTE) {
      const second = this.#held.byte(at + 1);
      if (second === -1) return false;
      if (second === AT || second === BACKSLASH) {
        const end = this.#held.stringEnd(at);
        if (end === -1) return false;
        if (!isPseudouser(this.#held.text(at, end), this.#hidden.also)) return this.#keep(frame, end);
        return this.#leaveOut(frame, at, end);
      }
    }
    return this.#value(at, at, frame.place, null);
  }

  #field(frame: Frame, at: number): boolean {
    if (this.#held.byte(at) !== QUOTE) throw new SyntaxError("a key is missing");
    const keyEnd = this.#held.stringEnd(at);
    const colon = keyEnd === -1 ? -1 : this.#held.space(keyEnd);
    if (colon === -1) return false;
    if (this.#held.byte(colon) !== COLON) throw new SyntaxError("a colon is missing");
    const value = this.#held.space(colon + 1);
    if (value === -1) return false;
    const key = this.#held.key(at, keyEnd);
    const { place } = frame;
    if (!place.isGrouped && isPseudouser(key, this.#hidden.also)) {
      return this.#passOver({ start: at, value, as: isLong(this.#held.byte(value)) ? "cut" : "cut word", place, key });
    }
    const first = this.#held.byte(value);
    if (key === "room_id" && first === QUOTE) {
      const end = this.#held.stringEnd(value);
      if (end === -1) return false;
      frame.ownRoom = this.#held.text(value, end);
      return this.#keep(frame, end);
    }
    const counted = countedBy(key, place);
    if (counted !== null || key === "num_live") {
      if (!isNumber(first)) return this.#value(at, value, null, key);
      const end = this.#held.wordEnd(value, this.#isLast);
      if (end === -1) return false;
      const count = this.#held.parsed(value, end);
      const edit = this.#held.reserve(value, end);
      if (counted === null) frame.live = { edit, count };
      else frame.counts.push({ edit, which: counted, count });
      this.#decide(frame, place.roomId);
      return this.#keep(frame, end);
    }
    if (namesHeroes(key) && first === OPEN_LIST) return this.#passOver({ start: at, value, as: "heroes", place, key });
    return this.#value(at, value, placeBelow(place, key), key);
  }

  /** Decides on counts if the room is known, and on `num_live` if the timeline has been read. */
  #decide(frame: Frame, roomId: string | null): void {
    if (roomId !== null) {
      for (const { edit, which, count } of frame.counts.splice(0)) {
        this.#held.decide(edit, changedTo(count, less(count, which, this.#hidden, roomId)));
      }
    }
    const { live, timeline } = frame;
    if (live === null || timeline === null) return;
    this.#held.decide(live.edit, changedTo(live.count, lessLive(live.count, timeline.length, timeline.leftOut)));
  }

  /** Reads a value that stays. @param start its key's start, or its own @param place null to mask nothing in it */
  #value(start: number, at: number, place: Place | null, key: string | null): boolean {
    const byte = this.#held.byte(at);
    if (byte !== QUOTE && byte !== OPEN_OBJECT && byte !== OPEN_LIST) {
      const end = this.#held.wordEnd(at, this.#isLast);
      return end !== -1 && this.#keep(this.#frames.at(-1), end);
    }
    if (byte === QUOTE || place === null || this.#frames.length >= MAX_DEPTH) {
      return this.#passOver({ start, value: at, as: "kept", place: place ?? TOP, key });
    }
    if (byte === OPEN_LIST && place.isStripped) return this.#passOver({ start, value: at, as: "stripped", place, key });
    this.#descend(at, place, key);
    return true;
  }

  #descend(at: number, place: Place, key: string | null = null): void {
    const around = this.#frames.at(-1);
    if (around !== undefined) around.hasKept = true;
    this.#passing = null;
    this.#frames.push(new Frame(this.#held.byte(at) === OPEN_LIST, place, key, at + 1));
    this.#at = at + 1;
    this.#state = "member";
  }

  #after(frame: Frame): boolean {
    const at = this.#held.space(this.#at);
    if (at === -1) return false;
    const byte = this.#held.byte(at);
    if (byte === COMMA) {
      this.#at = at + 1;
      this.#state = "member";
      return true;
    }
    if (byte !== (frame.isList ? CLOSE_LIST : CLOSE_OBJECT)) throw new SyntaxError("a comma is missing");
    return this.#close(frame, at);
  }

  #close(frame: Frame, at: number): boolean {
    if (frame.open !== -1) this.#held.cut(frame.open, frame.lastEnd);
    this.#decide(frame, frame.place.roomId ?? frame.ownRoom);
    for (const { edit } of frame.counts) this.#held.decide(edit, null);
    if (frame.live !== null) this.#held.decide(frame.live.edit, null);
    this.#frames.pop();
    const around = this.#frames.at(-1);
    if (around !== undefined && frame.isList && frame.key === "timeline") {
      around.timeline = frame;
      this.#decide(around, around.place.roomId);
    }
    return this.#keep(around, at + 1);
  }

  #passOver(passing: Passing): boolean {
    this.#passing = passing;
    this.#end.begin(passing.value);
    this.#state = "passing";
    return this.#pass();
  }

  #pass(): boolean {
    const passing = this.#passing;
    if (passing === null) throw new SyntaxError("a value is missing");
    const { start, value, as } = passing;
    const end =
      as === "cut word" ? this.#held.wordEnd(value, this.#isLast) : this.#end.find(this.#held.bytes, this.#held.base);
    if (end === -1) return false;
    const frame = this.#frames.at(-1);
    this.#passing = null;
    if (frame === undefined || as === "kept") return this.#keep(frame, end);
    if (as === "cut" || as === "cut word") return this.#leaveOut(frame, start, end);
    return this.#whole(frame, passing, end);
  }

  /** Decides on a value that has arrived whole. */
  #whole(frame: Frame, { start, value: from, as, place, key }: Passing, end: number): boolean {
    const { also } = this.#hidden;
    const isOf = as === "heroes" ? this.#names : this.#all;
    if (!this.#holdsAny(isOf, from, end)) return this.#keep(frame, end);
    const value = this.#held.parsed(from, end);
    if (as === "stripped" && Array.isArray(value)) {
      this.#descend(from, placeInList(value, place, this.#hidden), key);
      return true;
    }
    if (as === "heroes" && Array.isArray(value)) {
      const by = changedTo(value, maskHeroes(value, this.#hidden, place.roomId));
      if (by !== null) this.#held.replace(from, end, by);
      return this.#keep(frame, end);
    }
    if (isHidden(value, place.spared, also)) return this.#leaveOut(frame, start, end);
    if (!isFields(value)) return this.#keep(frame, end);
    const inner = placeOfElement(value, place);
    if (maskValue(value, inner, this.#frames.length, this.#hidden) === value) return this.#keep(frame, end);
    this.#descend(from, inner);
    return true;
  }

  #keep(frame: Frame | undefined, end: number): boolean {
    this.#at = end;
    if (frame === undefined) {
      this.#state = "done";
      return true;
    }
    frame.hasKept = true;
    frame.length++;
    frame.lastEnd = end;
    this.#state = "after";
    return true;
  }

  #leaveOut(frame: Frame, start: number, end: number): boolean {
    if (frame.key === "timeline") frame.leftOut.push(frame.length);
    frame.length++;
    this.#cut(frame, start, end);
    this.#at = end;
    this.#state = "after";
    return true;
  }

  /** Cuts a member and a comma beside it, as far as it has arrived. */
  #cut(frame: Frame, start: number, end: number): void {
    if (frame.hasKept) this.#held.cut(frame.lastEnd, end);
    else if (frame.open === -1) frame.open = start;
    frame.lastEnd = end;
  }

  #frame(): Frame {
    const frame = this.#frames.at(-1);
    if (frame === undefined) throw new SyntaxError("there is nothing around it");
    return frame;
  }

  #holdsAny(finders: readonly Finder[], from: number, to: number): boolean {
    const { bytes, base } = this.#held;
    return finders.some((finder) => finder.isWithin(from, to, bytes, base));
  }
}

const ENCODER = new TextEncoder();

/** Returns the new text of a value; null if it is unchanged. */
function changedTo(before: unknown, after: unknown): Uint8Array | null {
  return after === before ? null : ENCODER.encode(JSON.stringify(after));
}

function isNumber(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

function isLong(byte: number): boolean {
  return byte === QUOTE || byte === OPEN_OBJECT || byte === OPEN_LIST;
}
