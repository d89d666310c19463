/** What is to stand in place of some bytes. One that is decided later keeps all from its place on held until then. */
export interface Edit {
  readonly from: number;
  to: number;
  by: Uint8Array;
}

const NOTHING = new Uint8Array();

/**
 * The part of an answer that has come and has not gone on, with what is to be changed in it. Places are counted from the answer's
 * beginning.
 */
export class HeldPart {
  bytes: Uint8Array = NOTHING;
  /** The place of the first of the bytes. */
  base = 0;
  /** In order, and apart from each other. */
  #edits: Edit[] = [];
  /** Those among them that are not decided. */
  readonly #open = new Set<Edit>();
  #hasChanged = false;

  get end(): number {
    return this.base + this.bytes.length;
  }

  /** Whether anything was changed so far. */
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

  /** An edit that is decided later. */
  reserve(from: number, to: number): Edit {
    const edit = { from, to, by: this.slice(from, to) };
    this.#edits.push(edit);
    this.#open.add(edit);
    return edit;
  }

  /** @param by null to leave the bytes as they are */
  decide(edit: Edit, by: Uint8Array | null): void {
    if (!this.#open.delete(edit) || by === null) return;
    edit.by = by;
    this.#hasChanged = true;
  }

  /** Leaves all that is not decided as it is. False where there is nothing. */
  giveUp(): boolean {
    const isAny = this.#open.size > 0;
    this.#open.clear();
    return isAny;
  }

  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray(from - this.base, to - this.base);
  }

  /** What of the bytes before a place can go on, changed; none of it is held any longer. */
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
