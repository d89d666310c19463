import type { JsonObject, JsonValue } from "../../src/model/json.ts";

type Reply = readonly [status: number, body: JsonValue];

/**
 * The content repository. What is uploaded is kept by its hash. An address that was reserved takes one upload, of the user who
 * reserved it (spec, "PUT /_matrix/media/v3/upload/{serverName}/{mediaId}").
 */
export class FakeMedia {
  /** Hashes of what was uploaded, by media ID. */
  readonly files = new Map<string, string>();
  /** Who may upload to an address, by media ID. */
  readonly reserved = new Map<string, string>();
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  /** @param segments what follows `/_matrix/media` */
  answer(segments: readonly string[], user: string, { digest, size }: Upload): Reply {
    const [, action, , mediaId = ""] = segments;
    if (action === "create") {
      const id = `reserved${this.reserved.size}`;
      this.reserved.set(id, user);
      return [200, { content_uri: `mxc://${this.#server}/${id}`, unused_expires_at: 4_000_000_000_000 }];
    }
    if (mediaId === "") {
      const id = digest.slice(0, 8);
      this.files.set(id, digest);
      return [200, { content_uri: `mxc://${this.#server}/${id}`, size }];
    }
    const refusal = this.#refusal(mediaId, user);
    if (refusal !== null) return refusal;
    this.files.set(mediaId, digest);
    return [200, { content_uri: `mxc://${this.#server}/${mediaId}`, size }];
  }

  #refusal(mediaId: string, user: string): Reply | null {
    if ((this.reserved.get(mediaId) ?? user) !== user) {
      return [403, error("M_FORBIDDEN", "Only the creator of the media ID can upload to it")];
    }
    if (this.files.has(mediaId)) return [409, error("M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content")];
    return null;
  }
}

interface Upload {
  readonly digest: string;
  readonly size: number;
}

function error(errcode: string, text: string): JsonObject {
  return { errcode, error: text };
}
