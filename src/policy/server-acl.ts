import type { ServerName } from "../model/ids.ts";
import { isJsonObject, parsedObject } from "../model/json.ts";
import { matchesGlob } from "./glob.ts";

/**
 * Whether a room's access list keeps a server out (spec, `m.room.server_acl`).
 * @param acl the event's content, as JSON
 */
export function keepsOut(acl: string, server: ServerName): boolean {
  const content = parsedObject(Buffer.from(acl));
  if (!isJsonObject(content)) return false;
  const host = server.replace(/:\d{1,5}$/, "").toLowerCase();
  if (content["allow_ip_literals"] === false && /^(?:\[.*\]|\d+\.\d+\.\d+\.\d+)$/.test(host)) return true;
  const globs = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((one) => typeof one === "string").map((one) => one.toLowerCase()) : [];
  return matchesGlob(globs(content["deny"]), host) || !matchesGlob(globs(content["allow"]), host);
}
