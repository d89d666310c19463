import type { InvitePermission } from "./contracts.ts";
import { isJsonObject, type JsonObject } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";

/** The version of the specification that has it (MSC4380), and the flag of homeservers that had it earlier. */
const SINCE = { major: 1, minor: 18 } as const;
const FLAG = "org.matrix.msc4380.stable";

/** The account data that tells the homeserver whether others may invite the pseudouser. */
export class HomeserverInvitePermission implements InvitePermission {
  readonly #client: HomeserverClient;
  readonly #abort: AbortSignal;
  readonly #path: string;

  /** @param abort aborts calls to the homeserver */
  constructor(client: HomeserverClient, abort: AbortSignal) {
    this.#client = client;
    this.#abort = abort;
    this.#path = `/_matrix/client/v3/user/${encodeURIComponent(client.own)}/account_data/m.invite_permission_config`;
  }

  async isKnown(): Promise<boolean> {
    const answer = await this.#client.call("GET", "/_matrix/client/versions", { abort: this.#abort });
    if (answer.status !== 200) throw failureOf(answer, "tell its versions");
    return knowsInvitePermission(answer.body);
  }

  async read(): Promise<JsonObject | null> {
    const answer = await this.#client.call("GET", this.#path, { abort: this.#abort });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw failureOf(answer, "tell the pseudouser's account data");
    return answer.body;
  }

  async write(content: JsonObject): Promise<void> {
    const answer = await this.#client.call("PUT", this.#path, { body: content, abort: this.#abort });
    if (answer.status !== 200) throw failureOf(answer, "keep the pseudouser's account data");
  }
}

/** Returns whether an answer of `/versions` shows support for `m.invite_permission_config`. */
export function knowsInvitePermission({ versions, unstable_features: features }: JsonObject): boolean {
  if (isJsonObject(features ?? null) && (features as JsonObject)[FLAG] === true) return true;
  return Array.isArray(versions) && versions.some((version) => isSince(version));
}

function isSince(version: unknown): boolean {
  const [, major = "0", minor = "0"] = (typeof version === "string" ? /^v(\d+)\.(\d+)$/.exec(version) : null) ?? [];
  return Number(major) > SINCE.major || (Number(major) === SINCE.major && Number(minor) >= SINCE.minor);
}
