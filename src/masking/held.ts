/** A replacement for a span of bytes. An undecided one keeps everything from its start on held. */
export interface Edit {
  readonly from: number;
  to: number;
  by: Uint8Array;
}

const NOTHING = new Uint8Array();

/** The part of an answer that has arrived and not gone on, with its edits. Places count from the answer's start. */
export class HeldPart {
  bytes: Uint8Array = NOTHING;
  /** The place of the first byte. */
  base = 0;
  /** In order, without overlaps. */
  #edits: Edit[] = [];
  /** The undecided edits. */
  readonly #open = new Set<Edit>();
  #hasChanged = false;

  get end(): number {
    return this.base + this.bytes.length;
  }

  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  add(piece: Uint8Array): void {
    this.bytes = this.bytes.length === 0 ? piece : joined([this.bytes, piece]);
  }

  replace(from: number, to: number, by: Uint8Array): void {
    this.#edits.push({ from, to, by });
    this.#hasChanged = true;
  }

  cut(from: number, to: number): void {
    this.#hasChanged = true;
    const last = this.#edits.at(-1);
    if (last?.to === from && !this.#open.has(last)) last.to = to;
    else this.replace(from, to, NOTHING);
  }

  /** Adds an edit that will be decided later. */
  reserve(from: number, to: number): Edit {
    const edit = { from, to, by: this.slice(from, to) };
    this.#edits.push(edit);
    this.#open.add(edit);
    return edit;
  }

  /** @param by null to leave the bytes unchanged */
  decide(edit: Edit, by: Uint8Array | null): void {
    if (!this.#open.delete(edit) || by === null) return;
    edit.by = by;
    this.#hasChanged = true;
  }

  /** Cancels the undecided edits. Returns false if there are none. */
  giveUp(): boolean {
    const isAny = this.#open.size > 0;
    this.#open.clear();
    return isAny;
  }

  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray(from - this.base, to - this.base);
  }

  /** Removes and returns the edited bytes before a place, as far as they are decided. */
  take(until: number): Uint8Array {
    const [first] = this.#open;
    const to = Math.min(until, first?.from ?? until);
    if (to <= this.base) return NOTHING;
    const parts: Uint8Array[] = [];
    let at = this.base;
    let done = 0;
    for (const edit of this.#edits) {
      if (edit.from >= to) break;
      parts.push(this.slice(at, edit.from), edit.by);
      at = edit.to;
      done += 1;
    }
    parts.push(this.slice(at, to));
    this.#edits.splice(0, done);
    this.bytes = this.bytes.subarray(to - this.base);
    this.base = to;
    return joined(parts);
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const filled = parts.filter(({ length }) => length > 0);
  if (filled.length < 2) return filled[0] ?? NOTHING;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
