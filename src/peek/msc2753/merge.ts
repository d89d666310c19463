import { Readable } from "node:stream";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import { written } from "../../model/json.ts";
import { eachMember, endOfValue, isObjectAt, skipSpace, stringAt } from "../../masking/json-bytes.ts";

const CLOSE_OBJECT = 0x7d;
const QUOTE = 0x22;

/** What must be known of the homeserver's `/sync` answer to add to it. Places are where an object's members begin. */
export interface SyncOutline {
  readonly nextBatch: string;
  /** Rooms in the homeserver's answer, under any key. */
  readonly rooms: ReadonlySet<RoomId>;
  readonly joined: ReadonlySet<RoomId>;
  readonly at: {
    readonly nextBatch: readonly [from: number, to: number];
    readonly top: Members;
    readonly rooms: Members | null;
    readonly leave: Members | null;
  };
}

export interface Members {
  readonly begin: number;
  readonly isEmpty: boolean;
}

export interface Addition {
  readonly next: string;
  /** Rooms in the form of the answer. */
  readonly peek: ReadonlyMap<RoomId, Text>;
  readonly left: Iterable<RoomId>;
}

/** Returns null if the body is no `/sync` answer. Scans bytes, because most of the body goes on unchanged. */
export function outlineOf(body: Uint8Array): SyncOutline | null {
  return readObject(body, outlined);
}

/** Reads an answer that is an object, from where it begins; returns null for any other. */
export function readObject<Read>(
  body: Uint8Array,
  read: (body: Uint8Array, start: number) => Read | null,
): Read | null {
  try {
    const start = skipSpace(body, 0);
    return isObjectAt(body, start) ? read(body, start) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

interface Found {
  nextBatch: readonly [from: number, to: number] | null;
  rooms: Members | null;
  leave: Members | null;
}

function outlined(body: Uint8Array, start: number): SyncOutline | null {
  const found: Found = { nextBatch: null, rooms: null, leave: null };
  const told = new Set<RoomId>();
  const joined = new Set<RoomId>();
  eachMember(body, start, (key, value) => {
    const name = stringAt(body, key);
    if (name === "next_batch" && isTextAt(body, value)) found.nextBatch = [value, endOfValue(body, value)];
    if (name !== "rooms" || !isObjectAt(body, value)) return endOfValue(body, value);
    found.rooms = membersAt(body, value);
    return eachMember(body, value, (kind, list) => {
      if (!isObjectAt(body, list)) return endOfValue(body, list);
      const which = stringAt(body, kind);
      if (which === "leave") found.leave = membersAt(body, list);
      return eachMember(body, list, (room, inner) => {
        const roomId = stringAt(body, room);
        if (isRoomId(roomId)) {
          told.add(roomId);
          if (which === "join") joined.add(roomId);
        }
        return endOfValue(body, inner);
      });
    });
  });
  const { nextBatch, rooms, leave } = found;
  if (nextBatch === null) return null;
  const at = { nextBatch, top: membersAt(body, start), rooms, leave };
  return { nextBatch: stringAt(body, nextBatch[0]), rooms: told, joined, at };
}

/** Adds `rooms.peek` and ended peeks (in `rooms.leave`), and replaces the homeserver's next token. */
export function mergedSync(body: Buffer, { at }: SyncOutline, { next, peek, left }: Addition): Buffer | Readable {
  const [from, to] = at.nextBatch;
  const splices: Splice<readonly Text[]>[] = [{ from, to, text: [JSON.stringify(next)] }];
  const gone = [...left].map((roomId) => [member(roomId, ENDED)]);
  const told = [...peek].map(([roomId, text]): Text[] => [`${JSON.stringify(roomId)}:`, text]);
  const more: Text[][] = told.length === 0 ? [] : [['"peek":{', ...listed(told), "}"]];
  if (gone.length > 0) {
    if (at.leave === null) more.push(['"leave":{', ...listed(gone), "}"]);
    else splices.push(inserted(at.leave, gone));
  }
  if (more.length > 0) {
    splices.push(
      at.rooms === null ? inserted(at.top, [['"rooms":{', ...listed(more), "}"]]) : inserted(at.rooms, more),
    );
  }
  const pieces = cut(body, splices);
  const whole = pieces.flatMap((piece) =>
    typeof piece === "string" ? [Buffer.from(piece)] : isBuffer(piece) ? [piece] : [],
  );
  if (whole.length === pieces.length) return Buffer.concat(whole);
  return Readable.from(inTurn(pieces), { objectMode: false });
}

async function* inTurn(pieces: readonly (Buffer | Text)[]): AsyncGenerator<Buffer | string> {
  for (const piece of pieces) {
    if (typeof piece === "string" || isBuffer(piece)) yield piece;
    else yield* piece;
  }
}

const ENDED = { state: { events: [] }, timeline: { events: [], limited: false }, account_data: { events: [] } };

/** JSON, whole or as a stream. */
export type Text = string | AsyncIterable<string>;

export interface Splice<T = string> {
  readonly from: number;
  readonly to: number;
  readonly text: T;
}

export function member(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${written(value)}`;
}

export function insertion({ begin, isEmpty }: Members, members: readonly string[]): Splice {
  return { from: begin, to: begin, text: `${members.join()}${isEmpty ? "" : ","}` };
}

function inserted({ begin, isEmpty }: Members, members: readonly (readonly Text[])[]): Splice<readonly Text[]> {
  return { from: begin, to: begin, text: [...listed(members), ...(isEmpty ? [] : [","])] };
}

function listed(members: readonly (readonly Text[])[]): Text[] {
  return members.flatMap((member, at) => (at === 0 ? member : [",", ...member]));
}

export function spliced(body: Buffer, splices: readonly Splice[]): Buffer {
  return Buffer.concat(
    cut(
      body,
      splices.map(({ from, to, text }) => ({ from, to, text: [Buffer.from(text)] })),
    ),
  );
}

function cut<T>(body: Buffer, splices: readonly Splice<readonly T[]>[]): (Buffer | T)[] {
  const pieces: (Buffer | T)[] = [];
  let at = 0;
  for (const { from, to, text } of splices.toSorted((a, b) => a.from - b.from)) {
    pieces.push(body.subarray(at, from), ...text);
    at = to;
  }
  return [...pieces, body.subarray(at)];
}

function isBuffer(piece: unknown): piece is Buffer {
  return Buffer.isBuffer(piece);
}

export function isTextAt(body: Uint8Array, at: number): boolean {
  return body[at] === QUOTE;
}

export function membersAt(body: Uint8Array, object: number): Members {
  const begin = object + 1;
  return { begin, isEmpty: body[skipSpace(body, begin)] === CLOSE_OBJECT };
}
