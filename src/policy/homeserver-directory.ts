import { isRoomId, isServerName, serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { stringAt } from "../model/json.ts";
import { MAX_VIA } from "../model/room.ts";
import type { RoomTarget } from "./pointers.ts";
import type { RoomSummary } from "./question.ts";
import type { Answer, CallOptions, HomeserverClient } from "../homeserver/client.ts";
import { failureOf, silenceOf } from "../homeserver/errors.ts";

/** Synapse gives another server ten seconds to resolve an alias. */
const RESOLVE_TIMEOUT_MS = 15_000;
/** Shorter than the wait for a peek (peek.wait), so that the caller gets the error about the silent server. */
const LOOK_TIMEOUT_MS = 20_000;

/** Finds rooms and reads their summaries from outside, over federation if necessary. */
export class HomeserverDirectory {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** Resolves an alias. Returns null if it is unknown. @throws EmissaryError if the homeserver cannot tell now */
  async resolve(alias: RoomAlias, abort?: AbortSignal): Promise<RoomTarget | null> {
    const path = `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
    const silence = `${serverOf(alias)} has not told in time where ${alias} points. Ask again.`;
    const answer = await this.#ask(path, { timeout: RESOLVE_TIMEOUT_MS }, abort, silence);
    if (answer.status === 404) return null;
    const roomId = stringAt(answer.body, "room_id");
    if (answer.status !== 200 || roomId === null || !isRoomId(roomId)) throw failureOf(answer, "resolve an alias");
    const servers = Array.isArray(answer.body["servers"]) ? answer.body["servers"] : [];
    const via = servers.filter((server) => typeof server === "string").filter((server) => isServerName(server));
    return { roomId, via: via.slice(0, MAX_VIA) };
  }

  /**
   * Returns the room's summary (spec v1.15, MSC3266) before any join; null if the homeserver does not know the room or
   * may not see it. Older homeservers have it at another path.
   * @throws EmissaryError if the homeserver is unreachable; `timeout` if it does not answer
   */
  async look(roomId: RoomId, via: readonly ServerName[], abort?: AbortSignal): Promise<RoomSummary | null> {
    const id = encodeURIComponent(roomId);
    const options = { query: { via }, timeout: LOOK_TIMEOUT_MS };
    const silence = "The homeserver has not told in time what room this is; it waits for another server.";
    const ask = (path: string): Promise<Answer> => this.#ask(`${path}/${id}`, options, abort, silence);
    let answer = await ask("/_matrix/client/v1/room_summary");
    if (answer.errcode === "M_UNRECOGNIZED") answer = await ask("/_matrix/client/unstable/im.nheko.summary/summary");
    if (answer.errcode === "M_UNRECOGNIZED") throw failureOf(answer, "describe rooms before they are joined (MSC3266)");
    // 400: no server to ask, neither given nor known. 403: we may not see the room.
    if (answer.status === 404 || answer.status === 403 || answer.status === 400) return null;
    if (answer.status !== 200) throw failureOf(answer, "describe a room");
    const members = answer.body["num_joined_members"];
    return {
      joinRule: stringAt(answer.body, "join_rule") ?? "public",
      worldReadable: answer.body["world_readable"] === true,
      joinedMembers: typeof members === "number" ? members : null,
      version: stringAt(answer.body, "room_version"),
      encryption: stringAt(answer.body, "encryption"),
    };
  }

  /** @throws EmissaryError `timeout` if there is no answer: the homeserver waits for the server that it asks */
  async #ask(path: string, options: CallOptions, abort: AbortSignal | undefined, silence: string): Promise<Answer> {
    try {
      return await this.#client.call("GET", path, { ...options, ...(abort === undefined ? {} : { abort }) });
    } catch (error) {
      throw silenceOf(error, silence);
    }
  }
}
