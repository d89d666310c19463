import { isRoomId, isServerName, serverOf, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { stringAt } from "../model/json.ts";
import { MAX_VIA } from "../model/room.ts";
import type { RoomSummary } from "./question.ts";
import type { SummarySource } from "./room-summaries.ts";
import type { Answer, HomeserverClient } from "../homeserver/client.ts";
import { failureOf, silenceOf } from "../homeserver/errors.ts";

/** Synapse gives another server ten seconds to resolve an alias. */
const RESOLVE_TIMEOUT_MS = 15_000;
/** Shorter than the wait for a peek (peek.wait), so that the caller gets the error about the silent server. */
const LOOK_TIMEOUT_MS = 20_000;

/** An alias's room, and servers in it. */
export interface AliasTarget {
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
}

/** Finds rooms and reads their summaries from outside, over federation if necessary. */
export class HomeserverDirectory implements SummarySource {
  readonly #client: HomeserverClient;

  constructor(client: HomeserverClient) {
    this.#client = client;
  }

  /** Resolves an alias. Returns null if it is unknown. @throws EmissaryError if the homeserver cannot tell now */
  async resolve(alias: RoomAlias, abort?: AbortSignal): Promise<AliasTarget | null> {
    const path = `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
    const answer = await this.#client
      .call("GET", path, { timeout: RESOLVE_TIMEOUT_MS, ...(abort === undefined ? {} : { abort }) })
      .catch((error: unknown) => {
        throw silenceOf(error, `${serverOf(alias)} has not told in time where ${alias} points. Ask again.`);
      });
    if (answer.status === 404) return null;
    const roomId = stringAt(answer.body, "room_id");
    if (answer.status !== 200 || roomId === null || !isRoomId(roomId)) throw failureOf(answer, "resolve an alias");
    const servers = Array.isArray(answer.body["servers"]) ? answer.body["servers"] : [];
    const via = servers.filter((server) => typeof server === "string").filter((server) => isServerName(server));
    return { roomId, via: via.slice(0, MAX_VIA) };
  }

  /** Returns the room's summary (spec v1.15, MSC3266) before any join. Older homeservers have it at another path. */
  async look(roomId: RoomId, via: readonly ServerName[], abort?: AbortSignal): Promise<RoomSummary | null> {
    const id = encodeURIComponent(roomId);
    let answer = await this.#ask(`/_matrix/client/v1/room_summary/${id}`, via, abort);
    if (answer.errcode === "M_UNRECOGNIZED") {
      answer = await this.#ask(`/_matrix/client/unstable/im.nheko.summary/summary/${id}`, via, abort);
    }
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
  async #ask(path: string, via: readonly ServerName[], abort?: AbortSignal): Promise<Answer> {
    const more = abort === undefined ? {} : { abort };
    try {
      return await this.#client.call("GET", path, { query: { via }, timeout: LOOK_TIMEOUT_MS, ...more });
    } catch (error) {
      throw silenceOf(error, "The homeserver has not told in time what room this is; it waits for another server.");
    }
  }
}
