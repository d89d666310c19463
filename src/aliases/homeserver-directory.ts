import { roomPath } from "../http/client-paths.ts";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from "../model/ids.ts";
import { objectAt, objectsOf, stringAt, type JsonValue } from "../model/json.ts";
import type { Aliases, RoomTarget } from "../attendance/leases/target.ts";
import type { Answer, CallOptions, HomeserverClient } from "../homeserver/client.ts";
import { failureOf, isWorthRetrying } from "../homeserver/errors.ts";

const PAGE = 100;

/** A page of a list of rooms, with the aliases in it. */
export interface RoomPage {
  readonly rooms: readonly { readonly roomId: RoomId; readonly alias: RoomAlias | null }[];
  /** The token of the next page; null on the last. */
  readonly next: string | null;
}

/** The homeserver's aliases and rooms. Each call throws EmissaryError if the homeserver cannot answer now. */
export class HomeserverAliasDirectory {
  /** Returns null if the alias is unknown. */
  readonly resolve: (alias: RoomAlias) => Promise<RoomTarget | null>;
  readonly #client: HomeserverClient;
  /** For the calls that need an administrator's token; null if we have none. */
  readonly #asAdmin: CallOptions | null;

  constructor(client: HomeserverClient, aliases: Aliases, adminToken: string | null) {
    this.#client = client;
    this.resolve = (alias) => aliases.resolve(alias);
    this.#asAdmin = adminToken === null ? null : { token: adminToken, asPseudouser: false };
  }

  /**
   * Asks for the summary without routes. If our server is in the room, it answers, even if only that we may not see
   * the room. If not, it has no server to ask (Synapse: 400).
   */
  async isResident(roomId: RoomId): Promise<boolean> {
    const id = encodeURIComponent(roomId);
    let answer = await this.#client.call("GET", `/_matrix/client/v1/room_summary/${id}`);
    if (answer.errcode === "M_UNRECOGNIZED") {
      answer = await this.#client.call("GET", `/_matrix/client/unstable/im.nheko.summary/summary/${id}`);
    }
    if (answer.status === 400 && answer.errcode !== "M_UNRECOGNIZED") return false;
    if (answer.status === 200 || answer.status === 403 || answer.errcode === "M_NOT_FOUND") return true;
    throw failureOf(answer, "describe a room");
  }

  /**
   * Returns the room that an attended room says it replaces (`m.room.create`), or null.
   * @throws EmissaryError if that cannot be found out
   */
  async predecessorOf(roomId: RoomId): Promise<RoomId | null> {
    const path = roomPath(roomId, "state", "m.room.create", "");
    const answer = await this.#client.call("GET", path);
    if (answer.status !== 200) throw failureOf(answer, "tell which room another one replaces");
    const replaced = stringAt(objectAt(answer.body, "predecessor"), "room_id");
    return replaced !== null && isRoomId(replaced) ? replaced : null;
  }

  /** Returns a page of our server's room directory. */
  async listed(from: string | null): Promise<RoomPage> {
    const query = { limit: String(PAGE), ...(from === null ? {} : { since: from }) };
    const answer = await this.#client.call("GET", "/_matrix/client/v3/publicRooms", { query });
    if (answer.status !== 200) throw failureOf(answer, "list its public rooms");
    return { rooms: roomsIn(answer.body["chunk"]), next: stringAt(answer.body, "next_batch") };
  }

  /** Creates the alias. @throws EmissaryError `refused-by-homeserver` if we may not */
  async point(alias: RoomAlias, roomId: RoomId): Promise<void> {
    const answer = await this.#client.call("PUT", pathOf(alias), { body: { room_id: roomId } });
    if (answer.status !== 200) throw refusalOf(answer, alias, "point an alias elsewhere");
  }

  /** Removes the alias. Succeeds if the alias does not exist. @throws EmissaryError as point does */
  async remove(alias: RoomAlias): Promise<void> {
    const answer = await this.#client.call("DELETE", pathOf(alias));
    if (answer.status !== 200 && answer.errcode !== "M_NOT_FOUND") throw refusalOf(answer, alias, "remove an alias");
  }

  /**
   * Returns the aliases of our server that point to a room; none if the asker may not read the room.
   * @param asAdmin true to ask as the administrator, if we have a token
   */
  async aliasesOf(roomId: RoomId, asAdmin = false): Promise<readonly RoomAlias[]> {
    const path = roomPath(roomId, "aliases");
    const answer = await this.#client.call("GET", path, (asAdmin ? this.#asAdmin : null) ?? {});
    if (answer.status === 403 || answer.status === 404) return [];
    if (answer.status !== 200) throw failureOf(answer, "tell a room's aliases");
    const aliases = answer.body["aliases"];
    return Array.isArray(aliases)
      ? aliases.filter((text) => typeof text === "string").filter((text) => isRoomAlias(text))
      : [];
  }

  get hasAdmin(): boolean {
    return this.#asAdmin !== null;
  }

  /** Returns a page of the administrator's list of all rooms (Synapse's "List Room API"). */
  async allRooms(from: string | null): Promise<RoomPage> {
    const query = { limit: String(PAGE), ...(from === null ? {} : { from }) };
    const answer = await this.#client.call("GET", "/_synapse/admin/v1/rooms", { ...this.#asAdmin, query });
    if (answer.status !== 200) throw notAdmin(failureOf(answer, "list its rooms to an administrator"));
    const next = answer.body["next_batch"];
    return {
      rooms: roomsIn(answer.body["rooms"]),
      next: typeof next === "number" || typeof next === "string" ? String(next) : null,
    };
  }
}

function pathOf(alias: RoomAlias): string {
  return `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
}

function roomsIn(list: JsonValue | undefined): RoomPage["rooms"] {
  return objectsOf(list).flatMap((room) => {
    const roomId = stringAt(room, "room_id");
    const alias = stringAt(room, "canonical_alias");
    if (roomId === null || !isRoomId(roomId)) return [];
    return [{ roomId, alias: alias !== null && isRoomAlias(alias) ? alias : null }];
  });
}

function refusalOf(answer: Answer, alias: RoomAlias, doing: string): EmissaryError {
  const failure = failureOf(answer, doing);
  if (isWorthRetrying(answer)) return failure;
  const { message, reason } = failure;
  return new EmissaryError(
    "refused-by-homeserver",
    `${message} Has it loaded a registration with the server's aliases (emissary register --force --aliases, and its restart)? By hand, ` +
      `an administrator removes ${alias} in the room's settings, or with DELETE /_matrix/client/v3/directory/room/….`,
    { reason: reason ?? "refused" },
  );
}

function notAdmin({ code, message }: EmissaryError): EmissaryError {
  return new EmissaryError(
    code,
    `${message} Is homeserver.admin_token_file the token of one, and the homeserver a Synapse?`,
  );
}
