// @ts-check
/**
 * A lock between processes, for things built once and shared: the cached Node, node_modules, Python environments.
 *
 * A lock is a directory with the holder's name in it. It appears by a rename, so nobody ever sees one without a
 * name, and the holder touches it as long as it lives. It is stale when its holder (on this machine) is gone, or when
 * a waiter saw it untouched for half a minute. The second rule is for process numbers that were given out again and
 * for caches shared by containers; the waiter uses its own stopwatch, so clocks need not agree.
 */
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./progress.mjs";

const POLL_MS = 250;
const TOUCH_MS = 5_000;
const UNTOUCHED_IS_STALE_MS = 30_000;
const WAITING_NOTE_MS = 5_000;
const BREAKER_IS_STALE_MS = 10_000;

/** @typedef {{ pid: number, host: string, token: string }} Owner */

/**
 * Runs `work` while no other process holds the lock.
 *
 * @template T
 * @param {string} lock path of the lock directory
 * @param {() => Promise<T>} work
 * @param {(line: string) => void} [log]
 * @returns {Promise<T>}
 */
export async function withLock(lock, work, log = say) {
  const release = await acquire(lock, log);
  try {
    return await work();
  } finally {
    release();
  }
}

/** @param {string} lock @param {(line: string) => void} log */
async function acquire(lock, log) {
  fs.mkdirSync(path.dirname(lock), { recursive: true });
  const owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  const startedAt = performance.now();
  let noteDueAt = startedAt + 1_000;
  let seen = "";
  let seenSince = startedAt;
  while (!place(lock, owner)) {
    const now = performance.now();
    const holder = read(lock);
    const state = holder ? `${holder.token} ${touchedAt(lock)}` : "";
    if (state !== seen) [seen, seenSince] = [state, now];
    if (holder && (isGone(holder) || now - seenSince > UNTOUCHED_IS_STALE_MS)) {
      log(`removing the lock left by a process that is gone: ${lock}`);
      breakLock(lock, holder);
      continue;
    }
    if (now > noteDueAt) {
      log(
        `… waiting for process ${holder?.pid ?? "?"}, which is building the same (${Math.round((now - startedAt) / 1000)} s)`,
      );
      noteDueAt = now + WAITING_NOTE_MS;
    }
    await sleep(POLL_MS);
  }

  const touch = setInterval(() => {
    const now = new Date();
    // A lock that was taken from us is not an error here: what is built is checked again before it is trusted.
    fs.utimes(lock, now, now, () => {});
  }, TOUCH_MS);
  touch.unref();
  const remove = () => {
    if (read(lock)?.token === owner.token) fs.rmSync(lock, { recursive: true, force: true });
  };
  process.on("exit", remove);
  return () => {
    clearInterval(touch);
    process.off("exit", remove);
    remove();
  };
}

/** Puts our lock in place, unless there is one. @param {string} lock @param {Owner} owner */
function place(lock, owner) {
  const ours = `${lock}.${owner.token}`;
  fs.mkdirSync(ours);
  fs.writeFileSync(path.join(ours, "owner.json"), JSON.stringify(owner));
  try {
    fs.renameSync(ours, lock);
    return true;
  } catch (error) {
    fs.rmSync(ours, { recursive: true, force: true });
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "EPERM") return false;
    throw error;
  }
}

/** @param {string} lock @returns {Owner | undefined} */
function read(lock) {
  try {
    return JSON.parse(fs.readFileSync(path.join(lock, "owner.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {string} lock */
function touchedAt(lock) {
  return fs.statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @param {Owner} owner */
function isGone(owner) {
  if (owner.host !== hostname()) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "ESRCH";
  }
}

/**
 * Removes a stale lock. Two waiters may find the same one stale; if each simply removed it, the slower would remove
 * the lock that the faster has just taken. So only one may break at a time, and it looks again first.
 *
 * @param {string} lock @param {Owner} stale
 */
function breakLock(lock, stale) {
  const breaker = `${lock}.breaking`;
  try {
    fs.mkdirSync(breaker);
  } catch {
    if (Date.now() - touchedAt(breaker) > BREAKER_IS_STALE_MS) fs.rmSync(breaker, { recursive: true, force: true });
    return;
  }
  try {
    if (read(lock)?.token === stale.token) fs.rmSync(lock, { recursive: true, force: true });
  } finally {
    fs.rmSync(breaker, { recursive: true, force: true });
  }
}
