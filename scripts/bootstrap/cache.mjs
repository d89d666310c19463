// @ts-check
/**
 * Where downloaded things live: outside the clone, so that a second clone and a second run find them.
 */
import { homedir } from "node:os";
import path from "node:path";

/** The directory shared by all clones of this user. `EMISSARY_CACHE` moves it. */
export function cacheDirectory() {
  if (process.env["EMISSARY_CACHE"]) return path.resolve(process.env["EMISSARY_CACHE"]);
  const base = process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache");
  return path.join(base, "matrix-emissary");
}
