import { requireAction } from "../access.ts";
import type { ActHandler, Endpoint } from "../act.ts";
import { passRead, streamOf } from "../pass.ts";
import { NONE, pathOf } from "../path.ts";
import { FILE, laterUploadEndpoints, MEDIA_V3 } from "./later-uploads.ts";

const CLIENT_MEDIA: readonly string[] = ["/_matrix/client/v1/media"];

const FETCH = ["allow_remote", "allow_redirect", "timeout_ms"];
const READS: readonly (readonly [path: string, parameters: ReadonlySet<string>, note: string])[] = [
  ["/download/:serverName/:mediaId", new Set(FETCH), "a file"],
  ["/download/:serverName/:mediaId/:fileName", new Set(FETCH), "a file under another name"],
  [
    "/thumbnail/:serverName/:mediaId",
    new Set([...FETCH, "width", "height", "method", "animated"]),
    "a smaller picture",
  ],
  ["/config", NONE, "how large an upload may be"],
  ["/preview_url", new Set(["url", "ts"]), "what a link leads to"],
];

/** Streams uploads of any size. */
const upload: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "send");
  const path = pathOf(request, FILE);
  return parts.upstream.asPseudouser(
    { method: "POST", path, headers: request.headers, body: streamOf(request) },
    reply,
  );
};

/** Homeservers do not serve new media under the older path, which needs no token (spec v1.11, MSC3916). */
function authenticated(path: string): string {
  return path.replace(/^\/_matrix\/media\/v3\//, "/_matrix/client/v1/media/");
}

/** The content repository, as the pseudouser. */
export const mediaEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    under: MEDIA_V3,
    path: "/upload",
    how: "passed",
    note: "streams; with the send action",
    handler: upload,
  },
  ...laterUploadEndpoints,
  ...READS.map(([path, parameters, note]): Endpoint => ({
    method: "GET",
    under: CLIENT_MEDIA,
    path,
    how: "passed",
    note,
    handler: passRead(parameters),
  })),
  ...READS.map(([path, parameters]): Endpoint => ({
    method: "GET",
    under: MEDIA_V3,
    path,
    how: "passed",
    note: "the same, under its older name",
    handler: passRead(parameters, "GET", authenticated),
  })),
];
