import type { MatrixClient } from "matrix-js-sdk";
import { h } from "./dom.ts";

const loaded = new Map<string, Promise<string | null>>();

/** A picture of the media repository. It is asked for with the user's token, as Element's service worker does (specification 1.11). */
export function picture(
  client: MatrixClient,
  mxc: string | undefined,
  kind: "avatar" | "image",
): HTMLImageElement | null {
  if (mxc === undefined) return null;
  const image = h("img", { class: kind, alt: "" });
  let url = loaded.get(`${kind} ${mxc}`);
  if (url === undefined) loaded.set(`${kind} ${mxc}`, (url = load(client, mxc, kind)));
  void url.then((found) => {
    if (found !== null) image.src = found;
  });
  return image;
}

async function load(client: MatrixClient, mxc: string, kind: "avatar" | "image"): Promise<string | null> {
  const size = kind === "avatar" ? 32 : 160;
  const url = client.mxcUrlToHttp(mxc, size, size, kind === "avatar" ? "crop" : "scale", false, true, true);
  if (url === null) return null;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${client.getAccessToken() ?? ""}` } });
  return answer.ok ? URL.createObjectURL(await answer.blob()) : null;
}
