import { EmissaryError } from "../../../model/errors.ts";
import { isServerName, serverOf } from "../../../model/ids.ts";
import { parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { param } from "../../../http/server.ts";
import { sendWhole } from "../../../http/upstream.ts";
import { requireAction } from "../access.ts";
import { passed, type ActHandler, type Endpoint } from "../act.ts";
import { NONE, passRead, passStream, pathOf } from "../pass.ts";

const MEDIA_V3: readonly string[] = ["/_matrix/media/v3", "/_matrix/media/r0"];
const MEDIA_V1: readonly string[] = ["/_matrix/media/v1"];
const CLIENT_MEDIA: readonly string[] = ["/_matrix/client/v1/media"];

const FILE: ReadonlySet<string> = new Set(["filename"]);
const FETCH = ["allow_remote", "allow_redirect", "timeout_ms"];
const THUMBNAIL = new Set([...FETCH, "width", "height", "method", "animated"]);
const READS: readonly (readonly [path: `/${string}`, parameters: ReadonlySet<string>, note: string])[] = [
  ["/download/:serverName/:mediaId", new Set(FETCH), "a file"],
  ["/download/:serverName/:mediaId/:fileName", new Set(FETCH), "a file under another name"],
  ["/thumbnail/:serverName/:mediaId", THUMBNAIL, "a smaller picture"],
  ["/config", NONE, "how large an upload may be"],
  ["/preview_url", new Set(["url", "ts"]), "what a link leads to"],
];

/** Maximum reserved addresses of one tenant. The homeserver sets appservices no limit. */
const MAX_WAITING = 1_000;
/** Lifetime if the homeserver does not say, milliseconds (Synapse's `unused_expiration_time`). */
const EXPIRES_AFTER_MS = 24 * 60 * 60 * 1_000;

/** Reserves an address for an upload (MSC2246). Notes its tenant before the tenant gets it. */
const reserve: ActHandler = async (call) => {
  requireAction(call, "send");
  const { parts, request, reply } = call;
  const { media, clock, upstream } = parts;
  const { id } = call.tenant;
  if ((await media.countOf(id, clock.now())) >= MAX_WAITING) {
    throw new EmissaryError(
      "limited",
      `${MAX_WAITING} media addresses of tenant ${id} wait for their upload: upload to them, or try again when they have expired.`,
      { reason: "tenant-media", retryAfter: 60_000 },
    );
  }
  const answer = await upstream.answer("POST", pathOf(request), Buffer.from("{}"));
  if (answer.status === 200) {
    const { mediaId, expiresAt } = reservedIn(parsedObject(answer.body));
    await media.add(mediaId, id, expiresAt ?? clock.now() + EXPIRES_AFTER_MS, clock.now());
  }
  return sendWhole(reply, answer);
};

function reservedIn(answer: JsonObject): { readonly mediaId: string; readonly expiresAt: number | null } {
  const mediaId = /^mxc:\/\/[^/]+\/([A-Za-z0-9_-]{1,255})$/.exec(stringAt(answer, "content_uri") ?? "")?.[1];
  if (mediaId === undefined) {
    throw new EmissaryError("homeserver-error", "The homeserver did not answer with an address for an upload.");
  }
  const expiresAt = answer["unused_expires_at"];
  return { mediaId, expiresAt: Number.isSafeInteger(expiresAt) ? (expiresAt as number) : null };
}

/** Another tenant's address and one that was never reserved look the same to the caller. */
const uploadTo: ActHandler = async (call) => {
  requireAction(call, "send");
  const { parts, tenant, request, reply } = call;
  const { media, clock, own } = parts;
  const mediaId = param(request, "mediaId");
  const server = param(request, "serverName");
  const isOurs = isServerName(server) && server === serverOf(own);
  const owner = isOurs ? await media.ownerOf(mediaId, clock.now()) : null;
  if (owner !== tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `The media address ${mediaId} of ${server} is not reserved for tenant ${tenant.id}: it never was, it was uploaded to, or it has expired.`,
    );
  }
  // Waits until the answer is through.
  await passStream(call, "PUT", pathOf(request, FILE));
  // If this fails, the reservation expires by itself, and the homeserver accepts no second upload.
  if (reply.statusCode === 200) await media.remove(mediaId).catch(() => undefined);
  return reply;
};

const upload: ActHandler = async (call) => {
  requireAction(call, "send");
  return passStream(call, "POST", pathOf(call.request, FILE));
};

/** Homeservers do not serve new media under the older path, which needs no token (spec v1.11, MSC3916). */
function authenticated(path: string): string {
  return path.replace(/^\/_matrix\/media\/v3\//, "/_matrix/client/v1/media/");
}

/** The content repository, as the pseudouser. */
export const mediaEndpoints: readonly Endpoint[] = [
  passed("POST /upload", "streams; with the send action", upload, MEDIA_V3),
  passed("POST /create", "an address for a later upload, the tenant's own; with the send action", reserve, MEDIA_V1),
  passed(
    "PUT /upload/:serverName/:mediaId",
    "the later upload, to an address that the tenant was given",
    uploadTo,
    MEDIA_V3,
  ),
  ...READS.map(([path, parameters, note]) => passed(`GET ${path}`, note, passRead(parameters), CLIENT_MEDIA)),
  ...READS.map(([path, parameters]) =>
    passed(`GET ${path}`, "the same, under its older name", passRead(parameters, authenticated), MEDIA_V3),
  ),
];
