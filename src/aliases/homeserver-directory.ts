import type { AliasDirectory, RoomPage } from "./contracts.ts";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomAlias, type RoomId } from "../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../model/json.ts";
import type { Aliases } from "../attendance/leases/target.ts";
import type { CallOptions, HomeserverClient } from "../homeserver/client.ts";
import { failureOf, isWorthRetrying } from "../homeserver/errors.ts";

const PAGE = 100;

/** The homeserver's aliases and lists of rooms, as the pseudouser and (with a token) an administrator sees them. */
export class HomeserverAliasDirectory implements AliasDirectory {
  readonly resolve: AliasDirectory["resolve"];
  readonly all: AliasDirectory["all"];
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient, aliases: Aliases, adminToken: string | null) {
    this.#client = client;
    this.resolve = (alias) => aliases.resolve(alias);
    if (adminToken === null) {
      this.all = null;
      return;
    }
    const asAdmin = { token: adminToken, asPseudouser: false };
    this.all = {
      rooms: (from) => this.#adminRooms(from, asAdmin),
      aliasesOf: (roomId) => this.#aliasesOf(roomId, asAdmin),
    };
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

  async predecessorOf(roomId: RoomId): Promise<RoomId | null> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.create/`;
    const answer = await this.#client.call("GET", path);
    if (answer.status !== 200) throw failureOf(answer, "tell which room another one replaces");
    const predecessor = answer.body["predecessor"];
    const replaced = isJsonObject(predecessor) ? stringAt(predecessor, "room_id") : null;
    return replaced !== null && isRoomId(replaced) ? replaced : null;
  }

  async listed(from: string | null): Promise<RoomPage> {
    const query = { limit: String(PAGE), ...(from === null ? {} : { since: from }) };
    const answer = await this.#client.call("GET", "/_matrix/client/v3/publicRooms", { query });
    if (answer.status !== 200) throw failureOf(answer, "list its public rooms");
    return { rooms: roomsIn(answer.body["chunk"]), next: stringAt(answer.body, "next_batch") };
  }

  aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]> {
    return this.#aliasesOf(roomId, {});
  }

  async point(alias: RoomAlias, roomId: RoomId): Promise<void> {
    const answer = await this.#client.call("PUT", pathOf(alias), { body: { room_id: roomId } });
    if (answer.status !== 200)
      throw isWorthRetrying(answer) ? failureOf(answer, POINT) : notOurs(alias, failureOf(answer, POINT));
  }

  async remove(alias: RoomAlias): Promise<void> {
    const answer = await this.#client.call("DELETE", pathOf(alias));
    if (answer.status === 200 || answer.errcode === "M_NOT_FOUND") return;
    throw isWorthRetrying(answer) ? failureOf(answer, REMOVE) : notOurs(alias, failureOf(answer, REMOVE));
  }

  async #aliasesOf(roomId: RoomId, asker: CallOptions): Promise<readonly RoomAlias[]> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/aliases`;
    const answer = await this.#client.call("GET", path, asker);
    if (answer.status === 403 || answer.status === 404) return [];
    if (answer.status !== 200) throw failureOf(answer, "tell a room's aliases");
    const aliases = answer.body["aliases"];
    return Array.isArray(aliases)
      ? aliases.filter((text) => typeof text === "string").filter((text) => isRoomAlias(text))
      : [];
  }

  /** Calls Synapse's "List Room API". */
  async #adminRooms(from: string | null, asker: CallOptions): Promise<RoomPage> {
    const query = { limit: String(PAGE), ...(from === null ? {} : { from }) };
    const answer = await this.#client.call("GET", "/_synapse/admin/v1/rooms", { ...asker, query });
    if (answer.status !== 200) throw notAdmin(failureOf(answer, "list its rooms to an administrator"));
    const next = answer.body["next_batch"];
    return {
      rooms: roomsIn(answer.body["rooms"]),
      next: typeof next === "number" || typeof next === "string" ? String(next) : null,
    };
  }
}

const POINT = "point an alias elsewhere";
const REMOVE = "remove an alias";

function pathOf(alias: RoomAlias): string {
  return `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
}

function roomsIn(list: JsonValue | undefined): RoomPage["rooms"] {
  const rooms = Array.isArray(list) ? list.filter((room): room is JsonObject => isJsonObject(room)) : [];
  return rooms.flatMap((room) => {
    const roomId = stringAt(room, "room_id");
    const alias = stringAt(room, "canonical_alias");
    if (roomId === null || !isRoomId(roomId)) return [];
    return [{ roomId, alias: alias !== null && isRoomAlias(alias) ? alias : null }];
  });
}

function notOurs(alias: RoomAlias, { message, reason }: EmissaryError): EmissaryError {
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
