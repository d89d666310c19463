/**
 * What a server can do that does not keep to the rules: joins of its users, made by hand and signed with its real key, sent to a server
 * that is in the room.
 */
import { createHash, createPrivateKey, sign, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Json } from "../../homeservers/synapse/client.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { PEEKABLE_VERSION } from "./peekable-synapse.ts";

export interface FederationAnswer {
  readonly status: number;
  readonly body: Json;
}

/** All of an Ed25519 key in PKCS #8 (RFC 8410) but its seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export class Forger {
  readonly #server: Synapse;
  readonly #keyId: string;
  readonly #key: KeyObject;

  private constructor(server: Synapse, keyId: string, key: KeyObject) {
    this.#server = server;
    this.#keyId = keyId;
    this.#key = key;
  }

  /** Takes the server's own signing key. */
  static async of(server: Synapse): Promise<Forger> {
    const [algorithm = "", name = "", seed = ""] = (await readFile(join(server.dir, "signing.key"), "utf8"))
      .trim()
      .split(" ");
    const der = Buffer.concat([PKCS8_PREFIX, Buffer.from(seed, "base64")]);
    return new Forger(server, `${algorithm}:${name}`, createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  }

  get serverName(): string {
    return this.#server.serverName;
  }

  /** The template of a join, as any user of the server is given it who may join. */
  async template(resident: Synapse, roomId: string, userId: string): Promise<Json> {
    const path = `/_matrix/federation/v1/make_join/${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}`;
    const { status, body } = await this.#ask(resident, "GET", `${path}?ver=${PEEKABLE_VERSION}`);
    if (status !== 200) throw new Error(`make_join: ${status} ${JSON.stringify(body)}`);
    return body["event"] as Json;
  }

  /** Sends a membership event of one of the server's users, made from a template with what is to be different. */
  async send(
    resident: Synapse,
    template: Json,
    { userId, content, authEvents = [] }: { userId: string; content: Json; authEvents?: readonly string[] },
  ): Promise<FederationAnswer> {
    const { room_id, prev_events, auth_events, depth } = template;
    const bare = {
      type: "m.room.member",
      room_id,
      sender: userId,
      state_key: userId,
      content,
      prev_events,
      auth_events: [...(auth_events as string[]), ...authEvents],
      depth,
      origin_server_ts: Date.now(),
    };
    // Nothing in it would be redacted, so what is hashed for its content, signed and hashed for its ID differs in the hash only.
    const event = { ...bare, hashes: { sha256: sha256(bare, "base64") } };
    const signed = { ...event, signatures: { [this.serverName]: { [this.#keyId]: this.#sign(event) } } };
    const what = content["membership"] === "leave" ? "send_leave" : "send_join";
    const path = `/_matrix/federation/v2/${what}/${encodeURIComponent(String(room_id))}/$${sha256(event, "base64url")}`;
    return this.#ask(resident, "PUT", path, signed);
  }

  async #ask(resident: Synapse, method: string, uri: string, content?: Json): Promise<FederationAnswer> {
    const request = { method, uri, origin: this.serverName, destination: resident.serverName };
    const signature = this.#sign(content === undefined ? request : { ...request, content });
    const fields = { origin: request.origin, destination: request.destination, key: this.#keyId, sig: signature };
    const authorization = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
    // Its client port takes federation requests too, without TLS.
    const response = await fetch(`${resident.url}${uri}`, {
      method,
      headers: { authorization: `X-Matrix ${authorization.join(",")}`, "content-type": "application/json" },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    });
    return { status: response.status, body: (await response.json()) as Json };
  }

  #sign(value: unknown): string {
    return unpadded(sign(null, Buffer.from(canonical(value)), this.#key).toString("base64"));
  }
}

function sha256(value: unknown, encoding: "base64" | "base64url"): string {
  return unpadded(createHash("sha256").update(canonical(value)).digest(encoding));
}

function unpadded(base64: string): string {
  return base64.replaceAll("=", "");
}

/** Canonical JSON, of values without fractions: keys in the order of their code points, nothing between. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(",")}}`;
}
