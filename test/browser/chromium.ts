/** A real Chromium: the machine's own, or Debian's, unpacked into the cache with all that it needs. */
import { existsSync } from "node:fs";
import path from "node:path";
import { chromium, type Browser } from "playwright-core";
import { ensureDebianProgram } from "../support/debian-program.ts";
import { ROOT } from "../../scripts/tool.ts";

/** Where pictures of what failed are kept. */
export const SCREENSHOTS = path.join(ROOT, "screenshots");

export type Found = { readonly launch: () => Promise<Browser> } | { readonly launch: null; readonly why: string };

export async function findChromium(): Promise<Found> {
  const found = await ensureDebianProgram({
    name: "chromium",
    file: "usr/lib/chromium/chromium",
    trial: ["--version"],
    dependencies: true,
  });
  if (found.binary === null) return { launch: null, why: found.why };
  const { binary, env } = found;
  const launch = (): Promise<Browser> =>
    chromium.launch({
      executablePath: binary,
      env: { ...process.env, ...env, ...fontsBeside(binary) },
      args: [
        // Nothing but loopback: what else the browser would ask for itself finds no address.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        // Chromium refuses to run as root otherwise, and containers run as root. It shows pages of ours alone.
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      ],
    });
  return { launch };
}

/** On a machine without fonts they come along with the browser, and are found beside it. */
function fontsBeside(binary: string): NodeJS.ProcessEnv {
  const home = path.resolve(binary, "../../../..");
  const settings = path.join(home, "etc", "fonts");
  if (!existsSync(path.join(settings, "fonts.conf"))) return {};
  return { FONTCONFIG_PATH: settings, XDG_DATA_HOME: path.join(home, "usr", "share") };
}
