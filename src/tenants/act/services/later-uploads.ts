import { EmissaryError } from "../../../model/errors.ts";
import { isServerName, serverOf } from "../../../model/ids.ts";
import { parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { param } from "../../../http/server.ts";
import { sendWhole } from "../../../http/upstream.ts";
import { requireAction } from "../access.ts";
import type { ActHandler, Endpoint } from "../act.ts";
import { streamOf } from "../pass.ts";
import { NONE, pathOf } from "../path.ts";

export const MEDIA_V3: readonly string[] = ["/_matrix/media/v3", "/_matrix/media/r0"];
const MEDIA_V1: readonly string[] = ["/_matrix/media/v1"];

export const FILE: ReadonlySet<string> = new Set(["filename"]);

/** Maximum reserved addresses of one tenant. The homeserver sets appservices no limit. */
const MAX_WAITING = 1_000;
/** Lifetime if the homeserver does not say, milliseconds (Synapse's `unused_expiration_time`). */
const EXPIRES_AFTER_MS = 24 * 60 * 60 * 1_000;

/** Reserves an address for an upload (MSC2246). Notes its tenant before the tenant gets it. */
const reserve: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "send");
  const { media, clock, upstream } = parts;
  const { id } = caller.tenant;
  if ((await media.countOf(id, clock.now())) >= MAX_WAITING) {
    throw new EmissaryError(
      "limited",
      `Of tenant ${id} ${MAX_WAITING} addresses wait for their upload: upload to them, or try again when they have run out.`,
      { reason: "tenant-media", retryAfter: 60_000 },
    );
  }
  const answer = await upstream.answer("POST", pathOf(request, NONE), Buffer.from("{}"));
  if (answer.status === 200) {
    const { mediaId, expiresAt } = reservedIn(parsedObject(answer.body));
    await media.add(mediaId, id, expiresAt ?? clock.now() + EXPIRES_AFTER_MS, clock.now());
  }
  return sendWhole(reply, answer);
};

function reservedIn(answer: JsonObject): { readonly mediaId: string; readonly expiresAt: number | null } {
  const uri = /^mxc:\/\/[^/]+\/([A-Za-z0-9_-]{1,255})$/.exec(stringAt(answer, "content_uri") ?? "");
  const expiresAt = answer["unused_expires_at"];
  if (uri?.[1] === undefined) {
    throw new EmissaryError("homeserver-error", "The homeserver's answer is no address for an upload.");
  }
  return { mediaId: uri[1], expiresAt: Number.isSafeInteger(expiresAt) ? (expiresAt as number) : null };
}

/** Another tenant's address and one that was never reserved look the same to the caller. */
const uploadTo: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "send");
  const { media, clock, upstream, own } = parts;
  const mediaId = param(request, "mediaId");
  const server = param(request, "serverName");
  const isOurs = isServerName(server) && server === serverOf(own);
  const owner = isOurs ? await media.ownerOf(mediaId, clock.now()) : null;
  if (owner !== caller.tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `The media address ${mediaId} of ${server} is not reserved for tenant ${caller.tenant.id}: it was not given it, has uploaded to it, or it has run out.`,
    );
  }
  const path = pathOf(request, FILE);
  const sent = { method: "PUT", path, headers: request.headers, body: streamOf(request) } as const;
  // Waits until the answer is through.
  await upstream.asPseudouser(sent, reply);
  // If this fails, the reservation expires by itself, and the homeserver accepts no second upload.
  if (reply.statusCode === 200) await media.remove(mediaId).catch(() => undefined);
  return reply;
};

/** Uploads whose address is reserved first. */
export const laterUploadEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    under: MEDIA_V1,
    path: "/create",
    how: "passed",
    note: "an address for a later upload, the tenant's own; with the send action",
    handler: reserve,
  },
  {
    method: "PUT",
    under: MEDIA_V3,
    path: "/upload/:serverName/:mediaId",
    how: "passed",
    note: "the later upload, to an address that the tenant was given",
    handler: uploadTo,
  },
];
