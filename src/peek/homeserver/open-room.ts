import type { Dispatcher } from "undici";
import type { Hold } from "../../concurrency/bytes-held.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { isJsonObject, type JsonObject, objectsOf, parsedObject, stringAt } from "../../model/json.ts";
import { sourced } from "../../model/json-text.ts";
import { tooLarge, unreachable } from "../../homeserver/client.ts";
import { EntryRewriter } from "../../homeserver/entries.ts";

/** Largest state that is read at once. The rest of a larger one is read while it is sent on. */
const HELD_STATE_BYTES = 256 * 1024;
/** Bound of everything but the state: a hundred events and the user's own data. */
const HEAD_BYTES = 16 * 1024 * 1024;
/** In a large room these are as long as the member list, and devices do not get them. */
const LEFT_OUT = ["presence", "receipts"] as const;

/**
 * The homeserver's answer to a room's `initialSync`. Synapse sends the newest messages, the state, then the user's
 * data. A large state is tens of megabytes: it stays with the homeserver until it is sent on in pieces.
 */
export class OpenRoom {
  readonly #response: Dispatcher.ResponseData;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #limit: number;
  readonly #hold: Hold;
  readonly #state: EntryRewriter;
  readonly #leftOut: readonly EntryRewriter[];
  readonly #events: JsonObject[] = [];
  readonly #around: Buffer[] = [];
  #aroundSize = 0;
  #size = 0;
  #isOver = false;
  /** Whether data is sent on as soon as it is read. */
  #isPassing = false;

  constructor(response: Dispatcher.ResponseData, limit: number, hold: Hold) {
    // A failure while nobody reads has no other listener; the next read reports it.
    this.#response = response;
    response.body.on("error", () => undefined);
    this.#pieces = (response.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    this.#limit = limit;
    this.#hold = hold;
    this.#state = entriesOf("state", (entry) => {
      const event = parsedEntry(entry);
      if (event !== null) this.#events.push(event);
      return null;
    });
    this.#leftOut = LEFT_OUT.map((within) => entriesOf(within, () => null));
  }

  /** Reads up to the state, and to the end if the state is small. @throws EmissaryError if broken off or too large */
  async begin(): Promise<{ readonly told: JsonObject; readonly state: readonly JsonObject[] | null }> {
    let mayStop = true;
    while (await this.#read()) {
      if (!mayStop || this.#size - this.#aroundSize < HELD_STATE_BYTES) continue;
      if (!this.#state.isFound || this.#state.isOver) continue;
      const told = parsedObject(Buffer.concat([...this.#around, Buffer.from("]}")]));
      this.#isPassing = isJsonObject(told["messages"]);
      if (this.#isPassing) return { told, state: null };
      // If the messages come after the state, it reads to the end.
      mayStop = false;
    }
    return { told: parsedObject(Buffer.concat(this.#around)), state: this.#events.splice(0) };
  }

  /** Streams the state; with `isKept`, all of it stays in memory. @throws EmissaryError if broken off or too large */
  async *state(isKept = false): AsyncGenerator<readonly JsonObject[]> {
    if (isKept) this.#isPassing = false;
    do {
      const events = this.#events.splice(0);
      if (events.length > 0) yield events;
    } while (await this.#read());
    if (!this.#state.isOver) {
      throw new EmissaryError("homeserver-error", "The homeserver's answer to initialSync ended in the middle.");
    }
  }

  /** Returns what the homeserver sends after the state, which must be read to its end first. */
  after(): { readonly membership: string | null; readonly accountData: readonly JsonObject[] } {
    const told = this.#isOver ? parsedObject(Buffer.concat(this.#around)) : {};
    return { membership: stringAt(told, "membership"), accountData: objectsOf(told["account_data"]) };
  }

  drop(): void {
    this.#response.body.destroy();
    this.#hold.free();
  }

  /** Reads one more piece. Returns false at the end. */
  async #read(): Promise<boolean> {
    if (this.#isOver) return false;
    const next = await this.#pieces.next().catch((error: unknown) => {
      throw unreachable(error);
    });
    this.#isOver = next.done === true;
    if (next.done === true) return false;
    this.#size += next.value.length;
    if (this.#size > this.#limit) throw tooLarge(this.#limit);
    let around = this.#state.push(next.value);
    for (const leftOut of this.#leftOut) around = leftOut.push(around);
    this.#aroundSize += around.length;
    if (this.#aroundSize > HEAD_BYTES) throw tooLarge(HEAD_BYTES);
    await this.#hold.add(this.#isPassing ? around.length : next.value.length);
    // Copied, so the whole piece can be freed.
    if (around.length > 0) this.#around.push(Buffer.from(around));
    return true;
  }
}

/** The part of a large room that the homeserver has not sent yet. */
export type RoomRest = Pick<OpenRoom, "state" | "after" | "drop">;

function entriesOf(within: string, change: (entry: Buffer) => null): EntryRewriter {
  return new EntryRewriter({ within, change, more: () => [], unreadable: null });
}

/** Parses an event, keeping its text; null for no object. @throws EmissaryError `homeserver-error` for no JSON */
function parsedEntry(entry: Buffer): JsonObject | null {
  const text = entry.toString("utf8");
  try {
    const event: unknown = JSON.parse(text);
    return isJsonObject(event) ? sourced(event, text) : null;
  } catch (error) {
    const what = `The homeserver's answer to initialSync is broken JSON: ${sentenceOf(error)}.`;
    throw new EmissaryError("homeserver-error", what);
  }
}
