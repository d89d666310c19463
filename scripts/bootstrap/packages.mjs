// @ts-check
/**
 * Brings node_modules in line with package-lock.json, and does nothing when it is.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "./cache.mjs";
import { withLock } from "./lock.mjs";
import { runWithProgress } from "./progress.mjs";

/**
 * @param {{ root: string, node: string, nodeVersion: string, env: NodeJS.ProcessEnv }} options
 */
export async function ensurePackages({ root, node, nodeVersion, env }) {
  const modules = path.join(root, "node_modules");
  const stamp = path.join(modules, ".emissary-stamp");
  const wanted = fingerprint(root, nodeVersion);
  const isCurrent = () => fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted;
  if (isCurrent()) return;
  await withLock(lockOf(root), async () => {
    if (isCurrent()) return;
    // Before npm starts: a run that is cut short must not leave the stamp of an earlier one.
    fs.rmSync(stamp, { force: true });
    // One that a pack which was cut short left behind would count in place of the lock file.
    fs.rmSync(path.join(root, "npm-shrinkwrap.json"), { force: true });
    const npm = ["ci", "--no-audit", "--no-fund"];
    await runWithProgress("installing packages (npm ci)", "npm", npm, { cwd: root, env: withHeaders(env, node) });
    fs.writeFileSync(stamp, wanted);
  });
}

/** Outside the clone, where it would show up as a change. @param {string} root */
function lockOf(root) {
  const name = createHash("sha256").update(root).digest("hex").slice(0, 16);
  return path.join(cacheDirectory(), `packages-${name}.lock`);
}

/**
 * What decides the content of node_modules: the lock file, and for compiled parts the kind of Node and machine.
 *
 * @param {string} root @param {string} nodeVersion
 */
function fingerprint(root, nodeVersion) {
  const lockFile = fs.readFileSync(path.join(root, "package-lock.json"));
  const major = nodeVersion.replace(/^v/, "").split(".")[0];
  const sum = createHash("sha256").update(lockFile).digest("hex");
  return `${sum} node-${major} ${process.platform}-${process.arch}\n`;
}

/**
 * A package that has to be compiled takes the headers of the Node that it will run in, from the disk when they came
 * with it: the place node-gyp would load them from may not be reachable, and a configured `nodedir` belongs to the
 * other Node.
 *
 * @param {NodeJS.ProcessEnv} env @param {string} node
 */
function withHeaders(env, node) {
  const home = path.dirname(path.dirname(node));
  if (!fs.existsSync(path.join(home, "include", "node", "node_version.h"))) return env;
  return { ...env, npm_config_nodedir: home };
}
