/** Disks that are full or take no writes: for one process alone, so that no other program on this machine feels them. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import Database from "better-sqlite3";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./service-app.ts";

const MOUNT_BYTES = 4 * 1024 * 1024;

/**
 * How a process gets mounts of its own, which end with it (mount_namespaces(7)): any user may in a user namespace of his own, where
 * that is not forbidden; root may without one, where he has the right to mount. Undefined in a container that allows neither.
 */
const OWN_MOUNTS = [
  ["unshare", "--user", "--map-root-user", "--mount"],
  ["unshare", "--mount"],
].find(([command = "", ...args]) => {
  const mount = ["mount", "-t", "tmpfs", "tmpfs", "/tmp"];
  return spawnSync(command, [...args, ...mount], { stdio: "ignore", timeout: 10_000 }).status === 0;
});

/** A folder for the configuration, and in it one for the database: the disk. */
export class Disk {
  readonly folder = temporaryFolder();
  readonly mountPoint = path.join(this.folder, "disk");
  readonly sqlite = path.join(this.mountPoint, "emissary.db");
  readonly config = `storage: { sqlite: "${this.sqlite}" }`;
  /** The command through which a process gets to see the disk as it is meant; none where everybody sees it. */
  readonly through: readonly string[] = [];

  constructor() {
    mkdirSync(this.mountPoint);
  }
}

export abstract class FillingDisk extends Disk {
  /** Leaves so many bytes to the process. */
  abstract fill(pid: number, left: number): void;
  abstract empty(pid: number): void;
  /** Where we find the files that the process has on it. */
  protected abstract seenBy(pid: number): string;

  /** The IDs of the events in the journal, in order. Looks at a copy: SQLite would not keep to the other's mounts. */
  journal(pid: number): string[] {
    const copy = temporaryFolder();
    for (const name of ["emissary.db", "emissary.db-wal"]) {
      copyFileSync(path.join(this.seenBy(pid), name), path.join(copy, name));
    }
    const db = new Database(path.join(copy, "emissary.db"));
    try {
      const rows = db.prepare("SELECT event_ids FROM journal ORDER BY first_seq").pluck().all() as string[];
      return rows.flatMap((ids) => JSON.parse(ids) as string[]);
    } finally {
      db.close();
    }
  }
}

/**
 * The bound on the size of files stands for the end of the disk (setrlimit(2), RLIMIT_FSIZE). It can be had everywhere, in any
 * container and without any right: whoever owns a process may set and lift it while that runs. The write that passes it is cut
 * short and the next fails, as on a full disk; only the code is EFBIG in place of ENOSPC. Node ignores the signal that comes with
 * it (SIGXFSZ), and the log, being a pipe, is not bound.
 */
class BoundedFiles extends FillingDisk {
  /** All that it writes goes to the end of SQLite's log, until that has sixteen megabytes. */
  fill(pid: number, left: number): void {
    this.#bound(pid, String(statSync(`${this.sqlite}-wal`).size + left));
  }

  empty(pid: number): void {
    const [, hard = ""] = /^Max file size +\S+ +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? [];
    this.#bound(pid, hard);
  }

  protected override seenBy(): string {
    return this.mountPoint;
  }

  #bound(pid: number, soft: string): void {
    execFileSync("prlimit", ["--pid", String(pid), `--fsize=${soft}:`], { timeout: 10_000 });
  }
}

/** A file system in memory that is really full (ENOSPC), by a file of somebody else's. */
class SmallMount extends FillingDisk {
  override readonly through = onMount(this.mountPoint, "true");

  fill(pid: number, left: number): void {
    const { bavail, bsize } = statfsSync(this.seenBy(pid));
    writeFileSync(path.join(this.seenBy(pid), "somebody-elses"), Buffer.alloc(bavail * bsize - left));
  }

  empty(pid: number): void {
    rmSync(path.join(this.seenBy(pid), "somebody-elses"));
  }

  /** Its mounts are not ours: proc(5), /proc/pid/root. */
  protected override seenBy(pid: number): string {
    return path.join(`/proc/${pid}/root`, this.mountPoint);
  }
}

/** The command that runs another one where `mountPoint` is a file system in memory, after the line of shell `prepare`. */
function onMount(mountPoint: string, prepare: string): readonly string[] {
  const script = `set -e; mount -t tmpfs -o size=${MOUNT_BYTES},mode=700 tmpfs "$1"; ${prepare}; shift; exec "$@"`;
  return [...(OWN_MOUNTS ?? []), "sh", "-c", script, "sh", mountPoint];
}

type Kind<Make> = readonly [name: string, make: Make];

/** The first is there always; the second, the real thing, wherever mounts are allowed. */
export const FILLING_DISKS: readonly [Kind<() => FillingDisk>, ...Kind<() => FillingDisk>[]] = [
  ["a bound on the size of files", () => new BoundedFiles()],
  ...(OWN_MOUNTS === undefined ? [] : [["a small file system", () => new SmallMount()] as const]),
];

/**
 * Rights alone make a disk take no writes, everywhere; root is above them by one capability (capabilities(7), CAP_DAC_OVERRIDE), which
 * he gives up first.
 */
class NoRights extends Disk {
  override readonly through = isAboveRights() ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];

  constructor(make: (sqlite: string) => void) {
    super();
    make(this.sqlite);
    for (const name of readdirSync(this.mountPoint)) chmodSync(path.join(this.mountPoint, name), 0o400);
    chmodSync(this.mountPoint, 0o500);
    // Else an ordinary user could not remove what is in it.
    onTestFinished(() => chmodSync(this.mountPoint, 0o700));
  }
}

function isAboveRights(): boolean {
  const [, effective = "0"] = /^CapEff:\s+(\w+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (BigInt(`0x${effective}`) & 2n) !== 0n;
}

/** A file system that is mounted for reading only (EROFS). */
class ReadOnlyMount extends Disk {
  override readonly through: readonly string[];

  constructor(make: (sqlite: string) => void) {
    super();
    const made = temporaryFolder();
    make(path.join(made, "emissary.db"));
    // Of the mount alone (bind): the file system's own options name users that an ordinary user's namespace does not know.
    this.through = onMount(this.mountPoint, `cp -R '${made}'/. "$1"; mount -o remount,bind,ro "$1"`);
  }
}

type MakeReadOnly = (make: (sqlite: string) => void) => Disk;

/** Disks that take no writes, with what `make` puts there before. Likewise the first always, the second where mounts are allowed. */
export const READ_ONLY_DISKS: readonly Kind<MakeReadOnly>[] = [
  ["a folder without the right to write", (make) => new NoRights(make)],
  ...(OWN_MOUNTS === undefined
    ? []
    : [["a mount for reading only", (make) => new ReadOnlyMount(make)] as Kind<MakeReadOnly>]),
];
