import { hash } from "node:crypto";
import { foldEvent } from "../../src/ledger/fold.ts";
import type { TransactionRecord } from "../../src/ledger/store/ledger.ts";
import type { IncomingTransaction } from "../../src/ledger/recorder.ts";
import type { RoomEvent, StateEvent } from "../../src/model/event.ts";
import type { EventId, RoomId, ServerName, UserId } from "../../src/model/ids.ts";
import type { JsonObject } from "../../src/model/json.ts";
import type { Membership } from "../../src/model/membership.ts";
import { START } from "./clock.ts";

/** The identifiers of most tests. `OWN` is the pseudouser of our server, `REMOTE` another server. */
export const OWN = "@:ours.example" as UserId;
export const REMOTE = "remote.example" as ServerName;
export const ALICE = "@alice:remote.example" as UserId;
export const BOB = "@bob:remote.example" as UserId;
export const CAROL = "@carol:ours.example" as UserId;
export const ROOM = "!room:remote.example" as RoomId;
export const OTHER_ROOM = "!other:remote.example" as RoomId;
/** Of room version 12: without a server. */
export const NEW_ROOM = "!bNv7lzCzpQu9Gu3bzZvq1bKkNNNfFT2RUEb2nJ3bZgA" as RoomId;

export interface EventWish {
  readonly id: string;
  readonly room?: RoomId;
  readonly sender?: UserId;
  /** The event that this one says it replaced (unsigned.replaces_state). */
  readonly replaces?: string | undefined;
}

/** A message, which changes nothing in the ledger. */
export function message({ id, room = ROOM, sender = ALICE }: EventWish, body = "hello"): RoomEvent {
  return {
    event_id: `$${id}` as EventId,
    room_id: room,
    type: "m.room.message",
    sender,
    origin_server_ts: START,
    content: { msgtype: "m.text", body },
  };
}

export function state(type: string, content: JsonObject, { replaces, ...wish }: EventWish, stateKey = ""): StateEvent {
  return {
    ...message(wish),
    type,
    state_key: stateKey,
    content,
    ...(replaces === undefined ? {} : { unsigned: { replaces_state: `$${replaces}` } }),
  };
}

/** A membership event; by the member itself unless another sender is named. */
export function member(userId: UserId, membership: Membership, wish: EventWish & { name?: string }): StateEvent {
  const { name, ...rest } = wish;
  const content = { membership, ...(name === undefined ? {} : { displayname: name }) };
  return state("m.room.member", content, { sender: userId, ...rest }, userId);
}

/** A transaction as intake hands it to the recorder: the digest is the body's. */
export function incoming(txnId: string, events: readonly RoomEvent[]): IncomingTransaction {
  const body = Buffer.from(JSON.stringify({ events }));
  return { txnId, digest: hash("sha256", body, "base64url"), events, setAside: [], verbatim: body };
}

/** A transaction as the recorder hands it to storage. */
export function recordOf(
  txnId: string,
  events: readonly RoomEvent[],
  more: Partial<TransactionRecord> = {},
): TransactionRecord {
  const { digest, verbatim } = incoming(txnId, events);
  return {
    txnId,
    digest,
    receivedAt: START,
    body: verbatim ?? Buffer.alloc(0),
    eventIds: events.map((event) => event.event_id),
    changes: events.flatMap((event) => foldEvent(event, OWN)),
    setAside: [],
    ...more,
  };
}
