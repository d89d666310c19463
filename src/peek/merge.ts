import { Readable } from "node:stream";
import { isRoomId, type RoomId } from "../model/ids.ts";
import { ValueEnd } from "../masking/value-end.ts";

const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const SPACES: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09]);
const DELIMITERS: ReadonlySet<number> = new Set([...SPACES, COMMA, CLOSE_LIST, CLOSE_OBJECT]);

/** Where an object's members begin. */
interface Members {
  readonly begin: number;
  readonly isEmpty: boolean;
}

interface Places {
  token: readonly [from: number, to: number] | null;
  rooms: Members | null;
  leave: Members | null;
}

/** What must be known of the homeserver's answer to a sync to add to it. */
export interface Outline {
  /** The homeserver's own token. */
  readonly token: string;
  /** Rooms in the homeserver's answer, under any key. */
  readonly rooms: ReadonlySet<RoomId>;
  readonly joined: ReadonlySet<RoomId>;
  readonly at: Places & { readonly token: readonly [from: number, to: number]; readonly top: Members };
}

/** JSON, whole or as a stream. */
export type Text = string | AsyncIterable<string>;

export interface Addition {
  readonly next: string;
  /** Members of `rooms` (sliding sync) and of `rooms.peek` (MSC2753). */
  readonly rooms?: Iterable<readonly [RoomId, Text]>;
  readonly peek?: Iterable<readonly [RoomId, Text]>;
  /** Ended peeks, for `rooms.leave`. */
  readonly left?: Iterable<RoomId>;
}

/** Reads an answer to `/sync` (token `next_batch`) or sliding sync (`pos`) as bytes; null for anything else. */
export function outlineOf(body: Uint8Array, tokenKey: "next_batch" | "pos"): Outline | null {
  const at: Places = { token: null, rooms: null, leave: null };
  const [rooms, joined] = [new Set<RoomId>(), new Set<RoomId>()];
  const takeRooms = (list: number, isJoined: boolean): number =>
    eachMember(body, list, (key, value) => {
      const roomId = stringAt(body, key);
      if (isRoomId(roomId)) for (const set of isJoined ? [rooms, joined] : [rooms]) set.add(roomId);
      return endOfValue(body, value);
    });
  const takeKinds = (kinds: number): number =>
    eachMember(body, kinds, (key, list) => {
      if (body[list] !== OPEN_OBJECT) return endOfValue(body, list);
      const kind = stringAt(body, key);
      if (kind === "leave") at.leave = membersAt(body, list);
      return takeRooms(list, kind === "join");
    });
  try {
    const start = skipSpace(body, 0);
    if (body[start] !== OPEN_OBJECT) return null;
    eachMember(body, start, (key, value) => {
      const name = stringAt(body, key);
      if (name === tokenKey && body[value] === QUOTE) at.token = [value, endOfValue(body, value)];
      if (name !== "rooms" || body[value] !== OPEN_OBJECT) return endOfValue(body, value);
      at.rooms = membersAt(body, value);
      return tokenKey === "pos" ? takeRooms(value, false) : takeKinds(value);
    });
    const { token } = at;
    if (token === null) return null;
    return { token: stringAt(body, token[0]), rooms, joined, at: { ...at, token, top: membersAt(body, start) } };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const ENDED = JSON.stringify({
  state: { events: [] },
  timeline: { events: [], limited: false },
  account_data: { events: [] },
});

/** Adds rooms to the answer and replaces the homeserver's token. Returns a stream if one of the rooms is one. */
export function merged(body: Buffer, { at }: Outline, addition: Addition): Buffer | Readable {
  const { next, rooms = [], peek = [], left = [] } = addition;
  const more = membersOf(rooms);
  const peeked = membersOf(peek);
  if (peeked.length > 0) more.push(['"peek":{', ...listed(peeked), "}"]);
  const [from, to] = at.token;
  const splices: Splice[] = [{ from, to, text: [JSON.stringify(next)] }];
  const gone = membersOf([...left].map((roomId) => [roomId, ENDED]));
  if (gone.length > 0 && at.leave === null) more.push(['"leave":{', ...listed(gone), "}"]);
  else if (gone.length > 0 && at.leave !== null) splices.push(inserted(at.leave, gone));
  if (more.length > 0 && at.rooms === null) splices.push(inserted(at.top, [['"rooms":{', ...listed(more), "}"]]));
  else if (more.length > 0 && at.rooms !== null) splices.push(inserted(at.rooms, more));
  const pieces: (Buffer | Text)[] = [];
  let done = 0;
  for (const splice of splices.toSorted((a, b) => a.from - b.from)) {
    pieces.push(body.subarray(done, splice.from), ...splice.text);
    done = splice.to;
  }
  pieces.push(body.subarray(done));
  const whole = pieces.filter((piece) => isWhole(piece));
  if (whole.length < pieces.length) return Readable.from(inTurn(pieces), { objectMode: false });
  return Buffer.concat(whole.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
}

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: readonly Text[];
}

function membersOf(rooms: Iterable<readonly [RoomId, Text]>): Text[][] {
  return [...rooms].map(([roomId, text]) => [`${JSON.stringify(roomId)}:`, text]);
}

function inserted({ begin, isEmpty }: Members, members: readonly (readonly Text[])[]): Splice {
  return { from: begin, to: begin, text: [...listed(members), ...(isEmpty ? [] : [","])] };
}

function listed(members: readonly (readonly Text[])[]): Text[] {
  return members.flatMap((member, at) => (at === 0 ? member : [",", ...member]));
}

async function* inTurn(pieces: readonly (Buffer | Text)[]): AsyncGenerator<Buffer | string> {
  for (const piece of pieces) {
    if (isWhole(piece)) yield piece;
    else yield* piece;
  }
}

function isWhole(piece: Buffer | Text): piece is Buffer | string {
  return typeof piece === "string" || Buffer.isBuffer(piece);
}

function membersAt(body: Uint8Array, object: number): Members {
  const begin = object + 1;
  return { begin, isEmpty: body[skipSpace(body, begin)] === CLOSE_OBJECT };
}

/** Visits an object's members and returns its end. Skipped parts are not checked. @throws SyntaxError if malformed */
function eachMember(bytes: Uint8Array, at: number, visit: (key: number, value: number) => number): number {
  let key = skipSpace(bytes, at + 1);
  if (bytes[key] === CLOSE_OBJECT) return key + 1;
  for (;;) {
    if (bytes[key] !== QUOTE) throw new SyntaxError("a key is missing");
    const colon = skipSpace(bytes, endOfValue(bytes, key));
    if (bytes[colon] !== COLON) throw new SyntaxError("a colon is missing");
    const end = skipSpace(bytes, visit(key, skipSpace(bytes, colon + 1)));
    if (bytes[end] === CLOSE_OBJECT) return end + 1;
    if (bytes[end] !== COMMA) throw new SyntaxError("a comma is missing");
    key = skipSpace(bytes, end + 1);
  }
}

/** Returns the string at `at` with escapes resolved. */
function stringAt(bytes: Uint8Array, at: number): string {
  return JSON.parse(DECODER.decode(bytes.subarray(at, endOfValue(bytes, at)))) as string;
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const VALUE_END = new ValueEnd();

function endOfValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? COMMA;
  if (first === QUOTE || first === OPEN_OBJECT || first === OPEN_LIST) {
    VALUE_END.begin(at);
    const end = VALUE_END.find(bytes, 0);
    if (end !== -1) return end;
    throw new SyntaxError("a string, object or list does not end");
  }
  // Numbers, `true`, `false` and `null`.
  let here = at;
  while (here < bytes.length && !DELIMITERS.has(bytes[here] ?? COMMA)) here++;
  if (here === at) throw new SyntaxError("a value is missing");
  return here;
}

function skipSpace(bytes: Uint8Array, at: number): number {
  let here = at;
  while (SPACES.has(bytes[here] ?? COMMA)) here++;
  return here;
}
