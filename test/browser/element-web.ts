/**
 * What Element Web asks a homeserver for whose user looks into a room, in its order: RoomViewStore (alias), RoomView (peek), TimelinePanel
 * (history, receipts), MemberListStore, ThreadPanel, RightPanel and what its SDK adds. Taken from its source and its requests.
 */
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import type { Square } from "./square.ts";

export interface Request {
  readonly line: string;
  readonly body?: Readonly<Record<string, unknown>>;
  /** What later requests name: fields of the answer, by dots. */
  readonly learns?: Readonly<Record<string, string>>;
}

const LAZY = encodeURIComponent('{"lazy_load_members":true}');

/** Signed in already, up to the room list. */
export const START: readonly Request[] = [
  { line: "GET /_matrix/client/versions" },
  { line: "GET /_matrix/client/v3/account/whoami" },
  { line: "GET /_matrix/client/v3/pushrules/" },
  { line: "GET /_matrix/client/v3/capabilities" },
  { line: "GET /_matrix/client/v3/voip/turnServer" },
  { line: "GET /_matrix/client/v3/room_keys/version" },
  { line: "POST /_matrix/client/v3/keys/query", body: { device_keys: {} } },
  { line: "GET /_matrix/client/v3/thirdparty/protocols" },
  { line: "GET /_matrix/client/v3/profile/{me}" },
  { line: "GET /_matrix/client/v3/devices" },
  { line: "GET /_matrix/client/v3/pushers" },
  { line: "POST /_matrix/client/v3/user/{me}/filter", body: { room: { state: { lazy_load_members: true } } } },
  { line: `GET /_matrix/client/v3/sync?filter=${LAZY}&timeout=0&set_presence=online`, learns: { at: "next_batch" } },
  { line: "GET /_matrix/client/v3/user/{me}/account_data/im.vector.setting.breadcrumbs" },
];

/** From the directory into the room: a first look. */
export const LOOK: readonly Request[] = [
  {
    line: "POST /_matrix/client/v3/publicRooms?server={directory}",
    body: { limit: 50, filter: { generic_search_term: "{localpart}" } },
  },
  { line: "GET /_matrix/client/v3/directory/room/{alias}" },
  { line: "GET /_matrix/client/v1/room_summary/{room}?via={server}" },
  { line: "GET /_matrix/client/unstable/im.nheko.summary/summary/{room}?via={server}" },
  { line: "GET /_matrix/client/v3/rooms/{room}/initialSync?limit=20", learns: { from: "messages.start" } },
  { line: "GET /_matrix/client/v3/events?room_id={room}&timeout=500", learns: { poll: "end" } },
  { line: "GET /_matrix/client/v3/events?room_id={room}&timeout=500&from={poll}" },
  { line: `GET /_matrix/client/v3/rooms/{room}/messages?limit=20&dir=b&from={from}&filter=${LAZY}` },
  { line: "GET /_matrix/client/v1/media/thumbnail/{mxc}?width=36&height=36&method=crop" },
  { line: "GET /_matrix/client/v1/media/thumbnail/{mxc}?width=800&height=600&method=scale" },
  { line: "GET /_matrix/client/v1/media/download/{mxc}" },
  { line: "GET /_matrix/client/v3/rooms/{room}/members?not_membership=leave&at={at}" },
  { line: "GET /_matrix/client/v1/rooms/{room}/threads?include=all&limit=20" },
  { line: "GET /_matrix/client/v1/rooms/{room}/threads?include=participated&limit=20" },
  { line: "GET /_matrix/client/v3/rooms/{room}/event/{root}" },
  { line: "GET /_matrix/client/v1/rooms/{room}/relations/{root}/m.thread?dir=b&limit=20&recurse=true" },
  { line: "GET /_matrix/client/v1/rooms/{room}/relations/{newest}/m.replace/m.room.message" },
  { line: "GET /_matrix/client/v1/rooms/{room}/relations/{newest}" },
  { line: `GET /_matrix/client/v3/rooms/{room}/context/{newest}?limit=0&filter=${LAZY}` },
  { line: `GET /_matrix/client/v3/rooms/{room}/context/{root}?limit=50&filter=${LAZY}` },
  { line: "GET /_matrix/client/v3/rooms/{room}/state/m.room.encryption/" },
  { line: "GET /_matrix/client/v3/rooms/{room}/state/m.room.pinned_events/" },
  { line: "GET /_matrix/client/v3/rooms/{room}/aliases" },
  { line: "GET /_matrix/client/v1/rooms/{room}/timestamp_to_event?ts=0&dir=f" },
  { line: "GET /_matrix/client/v1/rooms/{room}/hierarchy?suggested_only=false&limit=20" },
  { line: "GET /_matrix/client/v3/profile/{owner}" },
  { line: "POST /_matrix/client/v3/keys/query", body: { device_keys: { "{owner}": [] } } },
  { line: "GET /_matrix/client/v3/rooms/{room}/joined_members" },
  { line: "GET /_matrix/client/v3/rooms/{room}/state" },
];

/** A second look at a room that it has in memory. */
export const SECOND_LOOK: readonly Request[] = [
  { line: "POST /_matrix/client/v3/rooms/{room}/receipt/m.read/{newest}", body: { thread_id: "main" } },
  { line: "POST /_matrix/client/v3/rooms/{room}/receipt/m.read.private/{newest}", body: {} },
  { line: "POST /_matrix/client/v3/rooms/{room}/read_markers", body: { "m.fully_read": "{newest}" } },
];

/** One answer: its status, what kind it is, and what is in it, as far as two servers can have the same. */
export type Shape = readonly [line: string, status: number, told: string];

export class ElementWeb {
  readonly #user: MatrixUser;
  readonly #names: Record<string, string>;

  /** @param directory whose directory is asked; none for the user's own server's. */
  constructor(user: MatrixUser, square: Square, directory: string) {
    this.#user = user;
    const { roomId: room, alias, newest, root, mxc, owner } = square;
    const [, localpart = "", server = ""] = /^#([^:]+):(.+)$/.exec(alias) ?? [];
    const media = mxc.slice("mxc://".length);
    const names = { room, alias, newest, root, directory, localpart, server, me: user.userId, owner: owner.userId };
    this.#names = { ...names, mxc: media };
  }

  async run(requests: readonly Request[]): Promise<Shape[]> {
    const shapes: Shape[] = [];
    for (const request of requests) shapes.push(await this.#ask(request));
    return shapes;
  }

  async #ask({ line, body, learns = {} }: Request): Promise<Shape> {
    const [method = "", path = ""] = line.split(" ");
    const answer = await fetch(
      new URL(
        this.#filled(path, (text) => encodeURIComponent(text)),
        this.#user.homeserverUrl,
      ),
      {
        method,
        headers: { authorization: `Bearer ${this.#user.accessToken}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: this.#filled(JSON.stringify(body), (text) => text) }),
      },
    );
    const type = answer.headers.get("content-type")?.split(";")[0] ?? "";
    if (type !== "application/json") return [line, answer.status, `${type} ${(await answer.arrayBuffer()).byteLength}`];
    const told = (await answer.json()) as Record<string, unknown>;
    for (const [name, field] of Object.entries(learns)) this.#names[name] = String(fieldOf(told, field));
    return [line, answer.status, partsOf(told)];
  }

  #filled(text: string, write: (value: string) => string): string {
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = this.#names[name];
      if (value === undefined) throw new Error(`nothing has told ${name} yet`);
      return name === "mxc" ? value : write(value);
    });
  }
}

function partsOf(told: Record<string, unknown>): string {
  if (Array.isArray(told)) return "a list";
  if (typeof told["errcode"] === "string") return told["errcode"];
  // Synapse adds it at the top, as long ago, to the events of its own users.
  const keys = Object.keys(told).filter((key) => key !== "age");
  return keys.sort().join(" ");
}

function fieldOf(told: unknown, field: string): unknown {
  return field.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], told);
}
