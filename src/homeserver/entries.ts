import { EmissaryError } from "../model/errors.ts";
import type { Rewriting } from "../http/upstream.ts";
import { tooLarge } from "./client.ts";

/** An event has at most 64 KiB, and a little more with the homeserver's additions. */
const MAX_ENTRY = 1024 * 1024;
/** A longer key cannot be the wanted one. */
const MAX_KEY = 64;

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NOTHING = Buffer.alloc(0);
const SEPARATOR = Buffer.from(",");

/** Changes the entries of one list or object in JSON text that arrives in pieces. Holds one entry at a time. */
export class EntryRewriter {
  readonly #rewriting: Rewriting;
  readonly #target: number;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** The newest string outside the entries. Before a list or an object, it is its key. */
  #key: number[] = [];
  #state: "before" | "within" | "after" = "before";
  #entry: Buffer[] = [];
  #entrySize = 0;
  #isFirst = true;

  constructor(rewriting: Rewriting) {
    this.#rewriting = rewriting;
    this.#target = rewriting.within === null ? 1 : 2;
  }

  get isFound(): boolean {
    return this.#state !== "before";
  }

  get isOver(): boolean {
    return this.#state === "after";
  }

  /** Returns what to send for the next piece. @throws EmissaryError `homeserver-error` if an entry is too large */
  push(piece: Buffer): Buffer {
    const out: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at];
      if (this.#isInString) {
        this.#inString(byte ?? 0);
      } else if (byte === QUOTE) {
        this.#isInString = true;
        this.#key = [];
      } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        this.#depth += 1;
        if (!this.#begins(byte)) continue;
        this.#state = "within";
        out.push(piece.subarray(from, at + 1));
        from = at + 1;
      } else if (this.#state === "within" && this.#depth === this.#target && isEnd(byte)) {
        this.#hold(piece.subarray(from, at));
        this.#finish(out);
        from = byte === COMMA ? at + 1 : at;
        if (byte === COMMA) continue;
        for (const more of this.#rewriting.more()) this.#add(out, more);
        this.#state = "after";
        this.#depth -= 1;
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        this.#depth -= 1;
      }
    }
    const rest = piece.subarray(from);
    if (this.#state === "within") this.#hold(rest);
    else out.push(rest);
    return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out);
  }

  #inString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isInString = false;
    if (this.#isInString && this.#state === "before" && this.#key.length < MAX_KEY) this.#key.push(byte);
  }

  #begins(byte: number): boolean {
    if (this.#state !== "before" || this.#depth !== this.#target) return false;
    const { within } = this.#rewriting;
    return within === null ? byte === OPEN_LIST : Buffer.from(this.#key).toString("utf8") === within;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#entrySize += bytes.length;
    if (this.#entrySize > MAX_ENTRY) throw tooLarge(MAX_ENTRY);
    this.#entry.push(bytes);
  }

  #finish(out: Buffer[]): void {
    const [only] = this.#entry;
    const entry = only !== undefined && this.#entry.length === 1 ? only : Buffer.concat(this.#entry, this.#entrySize);
    this.#entry = [];
    this.#entrySize = 0;
    if (entry.toString("latin1").trim() === "") return;
    const changed = this.#rewriting.change(entry);
    if (changed !== null) this.#add(out, changed);
  }

  #add(out: Buffer[], entry: Buffer): void {
    if (!this.#isFirst) out.push(SEPARATOR);
    this.#isFirst = false;
    out.push(entry);
  }
}

function isEnd(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT;
}

export async function* rewrittenPieces(
  rewriter: EntryRewriter,
  head: Buffer,
  rest: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    const piece = rewriter.push(next.value);
    if (piece.length > 0) yield piece;
  }
  if (rewriter.isFound && !rewriter.isOver) {
    throw new EmissaryError("homeserver-error", "The homeserver's answer ended in the middle.");
  }
}
