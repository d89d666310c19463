/** A real Chromium: the machine's own, or Debian's, unpacked into the cache with all that it needs. */
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
      env: { ...process.env, ...env },
      args: [
        // Nothing but loopback: what else the browser would ask for itself finds no address.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        // Chromium refuses to run as root otherwise, and containers run as root. It shows pages of ours alone.
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      ],
    });
  return { launch };
}
