import { isJsonObject, type JsonObject } from "../../model/json.ts";
import type { HomeserverClient } from "../../homeserver/client.ts";
import { failureOf } from "../../homeserver/errors.ts";
import { contentAt, putContent } from "../homeserver/content.ts";

/** The version of the specification that has it (MSC4380), and the flag of homeservers that had it earlier. */
const SINCE = { major: 1, minor: 18 } as const;
const FLAG = "org.matrix.msc4380.stable";

/**
 * The pseudouser's `m.invite_permission_config` (spec v1.18, "Invite permission"; MSC4380), which tells the homeserver
 * whether others may invite the pseudouser. Throws EmissaryError if the homeserver cannot be asked.
 */
export class InvitePermission {
  readonly #client: HomeserverClient;
  readonly #abort: AbortSignal;
  readonly #path: string;

  /** @param abort aborts calls to the homeserver */
  constructor(client: HomeserverClient, abort: AbortSignal) {
    this.#client = client;
    this.#abort = abort;
    this.#path = `/_matrix/client/v3/user/${encodeURIComponent(client.own)}/account_data/m.invite_permission_config`;
  }

  /** Returns whether this homeserver supports it. */
  async isKnown(): Promise<boolean> {
    const answer = await this.#client.call("GET", "/_matrix/client/versions", { abort: this.#abort });
    if (answer.status !== 200) throw failureOf(answer, "tell its versions");
    return knowsInvitePermission(answer.body);
  }

  /** Returns null if it was never set. */
  read(): Promise<JsonObject | null> {
    return contentAt(this.#client, this.#path, "tell the pseudouser's account data", this.#abort);
  }

  write(content: JsonObject): Promise<void> {
    return putContent(this.#client, this.#path, content, "keep the pseudouser's account data", this.#abort);
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
