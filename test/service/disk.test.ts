/** Disks that take no writes and disks that are full: what the daemon does then, and whom it tells what. */
import { execFile } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/model/json.ts";
import { takeInstanceLock } from "../../src/storage/instance-lock.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { FILLING_DISKS, READ_ONLY_DISKS, type Disk, type FillingDisk } from "../support/disk.ts";
import { ask, eventually, fakeHomeserver, PSEUDOUSER, type Answer } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";

const EMISSARY = path.join(import.meta.dirname, "../../bin/emissary");

/** What `emissary doctor` finds, and its exit code. */
function doctor({ folder, through }: Disk): Promise<{ readonly exitCode: unknown; readonly findings: JsonObject[] }> {
  const [command, ...args] = [...through, EMISSARY, "doctor", "--json"];
  const env = { ...process.env, EMISSARY_NODE: process.execPath };
  return new Promise((resolve, reject) => {
    const config = path.join(folder, "emissary.yaml");
    execFile(command, [...args, "--config", config], { env, timeout: 20_000 }, (error, stdout, stderr) => {
      if (stdout === "") reject(new Error(stderr, { cause: error }));
      else resolve({ exitCode: error?.code ?? 0, findings: JSON.parse(stdout) as JsonObject[] });
    });
  });
}

/** Every entry of the daemon's log of that level. */
function entries({ log }: Daemon, level: string): JsonObject[] {
  const all = log.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return all
    .map((line): unknown => JSON.parse(line))
    .filter((entry) => isJsonObject(entry) && entry["level"] === level) as JsonObject[];
}

const CONTENTS = [
  ["nothing on it", () => undefined],
  [
    "a database on it",
    (sqlite: string) => {
      takeInstanceLock(sqlite, { command: "emissary run", since: 0 }).release();
      new SqliteStorage(sqlite).close();
    },
  ],
] as const;

const UNWRITABLE = READ_ONLY_DISKS.flatMap(([kind, make]) =>
  CONTENTS.map(([what, content]) => ({ kind, make, what, content })),
);

test.each(UNWRITABLE)(
  "on $kind, with $what, the daemon ends with one sentence of what is wrong and what to do, and doctor finds it",
  async ({ make, content }) => {
    const homeserver = await fakeHomeserver();
    const disk = make(content);
    const daemon = new Daemon(disk.folder, homeserver, disk);
    const [exitCode, examined] = await Promise.all([daemon.exit(), doctor(disk)]);
    expect(exitCode).toBe(1);
    expect(entries(daemon, "error")).toEqual([
      expect.objectContaining({ message: "emissary.cannot-run", error: expect.any(String) as string }),
    ]);
    const sentence = entries(daemon, "error")[0]?.["error"];
    expect(sentence).toContain(`The database ${disk.sqlite} cannot be locked: `);
    expect(sentence).toMatch(/: (the disk is mounted for reading only|this user may not write there)/);
    expect(sentence).toContain(
      `Check that ${disk.mountPoint} exists, that this user may write there, that its disk is`,
    );
    expect(daemon.log).not.toMatch(/"stack"|\n\s+at /);

    expect(examined.exitCode).toBe(1);
    expect(examined.findings.find(({ check }) => check === "database")).toMatchObject({
      level: "failure",
      what: expect.stringMatching(/^Nothing can be written in .*(EROFS|EACCES)/) as string,
      why: expect.stringContaining("mounted for reading only") as string,
    });
  },
);

/** What a disk that fills up has left: some transactions fit, and then none. */
const LITTLE = 64 * 1024;

/** A daemon that has a tenant, is in a room and has nothing more to do, when its disk is filled but for so many bytes. */
async function sceneOn(disk: FillingDisk, left: number) {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const daemon = new Daemon(disk.folder, homeserver, disk);
  const { gateway, admin } = await daemon.ready();
  const pid = daemon.process.pid!;
  const token = await daemon.tenant("one");
  const tenant = (method: string, target: string): Promise<Answer> =>
    ask(gateway, method, `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}${target}`, { token, body: {} });
  expect((await tenant("POST", "/join")).status).toBe(200);
  await eventually("the room loaded", async () => {
    return (await daemon.admin("GET", `/rooms/${encodeURIComponent(room.id)}`)).body["load"] === "loaded";
  });
  await eventually("an idle homeserver", () => homeserver.sender.isIdle);
  const sent = disk.journal(pid);
  const refused = (): number => homeserver.sender.tries.filter(({ status }) => status !== 200).length;
  disk.fill(pid, left);
  const stream = setInterval(() => {
    sent.push(homeserver.say(room, "@creator:elsewhere.test", "x".repeat(1_000)).event_id);
  }, 2);
  await eventually("some transactions refused", () => refused() >= 3).finally(() => clearInterval(stream));
  return { homeserver, room, daemon, pid, sent, refused, admin, tenant };
}

test.each(FILLING_DISKS)(
  "%s that fills up: what cannot be stored is refused and comes again, and nothing acknowledged is lost or doubled",
  async (_kind, make) => {
    const disk = make();
    const { homeserver, daemon, pid, sent, refused, admin } = await sceneOn(disk, LITTLE);
    const { sender } = homeserver;
    expect(sender.acknowledged.length).toBeGreaterThan(0);
    expect(disk.journal(pid)).toEqual(sender.acknowledged);
    expect(new Set(sender.tries.map(({ status }) => status))).toEqual(new Set([200, 500]));
    expect((await ask(admin, "GET", "/health")).status).toBe(200);
    const stuck = sender.tries.at(-1)!;
    expect(stuck.status).toBe(500);

    const before = refused();
    disk.empty(pid);
    await eventually("an idle homeserver", () => sender.isIdle);
    expect(sender.tries.filter(({ txnId }) => txnId === stuck.txnId).at(-1)).toEqual({ ...stuck, status: 200 });
    expect(refused()).toBeLessThanOrEqual(before + 1);
    expect(sender.acknowledged).toEqual(sent);
    expect(disk.journal(pid)).toEqual(sent);
    daemon.process.kill("SIGTERM");
    expect(await daemon.exit()).toBe(0);
  },
);

test.each(FILLING_DISKS)(
  "%s that is full: the operator, the tenant and the log are told so in a sentence, and asking again later succeeds",
  async (_kind, make) => {
    const disk = make();
    const { homeserver, room, daemon, pid, admin, tenant } = await sceneOn(disk, 0);
    // What the homeserver has done is answered as it did it, and the row of the audit comes later.
    const sent = await tenant("PUT", "/send/m.room.message/1");
    const eventId = sent.body["event_id"];
    expect(sent).toMatchObject({ status: 200, body: { event_id: expect.stringMatching(/^\$/) as string } });
    expect((await tenant("PUT", "/send/m.room.message/1")).body).toEqual(sent.body);
    const ready = async (): Promise<Answer> => ask(admin, "GET", "/ready");
    expect(await ready()).toMatchObject({
      status: 503,
      body: { error: expect.stringMatching(/^Emissary cannot write its database.*: the disk/) as string },
    });
    const metrics = async (): Promise<string> => (await ask(admin, "GET", "/metrics")).raw.toString();
    expect(await metrics()).toMatch(/^emissary_database_writable 0\n(.*\n)*emissary_audit_late_entries 2$/m);
    const sentence = expect.stringMatching(
      /^Emissary cannot write its database \(storage\.sqlite\): the disk .*\. What could not be written is not kept/,
    ) as string;
    const wishes: readonly (readonly [() => Promise<Answer>, string])[] = [
      [() => daemon.admin("POST", "/tenants", { id: "two" }), sentence],
      // Where the database is, and what ails it, is the operator's to know.
      [() => tenant("POST", "/leave"), "Emissary failed at this; try again later."],
    ];
    for (const [wish, error] of wishes) {
      const { status, body } = await wish();
      expect({ status, body }).toEqual({
        status: 500,
        body: { errcode: "M_UNKNOWN", error, "org.matrix.msc1777.code": "internal" },
      });
    }
    const told = entries(daemon, "error");
    for (const message of ["database.not-writable", "audit.late"]) {
      expect(told).toContainEqual(expect.objectContaining({ message, error: sentence }));
    }
    for (const listener of ["intake", "admin", "gateway"]) {
      expect(told).toContainEqual(expect.objectContaining({ message: "http.failed", listener, error: sentence }));
    }
    for (const entry of told) expect(entry["error"]).toEqual(sentence);
    expect(daemon.log).not.toMatch(/"stack"/);

    disk.empty(pid);
    await eventually("being ready again", async () => (await ready()).status === 200);
    await eventually("the audit's being up to date", async () => (await metrics()).includes("audit_late_entries 0"));
    const audit = (await daemon.admin("GET", "/audit")).body["entries"] as JsonObject[];
    expect(audit.filter(({ action }) => action === "event.send")).toEqual([
      expect.objectContaining({
        outcome: "done",
        detail: expect.objectContaining({ event_id: eventId }) as JsonObject,
      }),
      expect.objectContaining({
        outcome: "done",
        detail: expect.objectContaining({ event_id: eventId }) as JsonObject,
      }),
    ]);
    expect(await metrics()).toContain("emissary_database_writable 1");
    for (const [wish] of wishes) expect((await wish()).status).toBe(200);
    await eventually("an idle homeserver", () => homeserver.sender.isIdle);
    // The tenant's message was sent at the first time, and the repetition is the same.
    expect(homeserver.seen("PUT", /\/send\//)).toHaveLength(2);
    expect(room.timeline.filter(({ sender, type }) => sender === PSEUDOUSER && type === "m.room.message")).toHaveLength(
      1,
    );
  },
);

test("told to stop while its disk is full, the daemon does, and the next one has all that was acknowledged", async () => {
  const [[, make]] = FILLING_DISKS;
  const disk = make();
  const { homeserver, daemon, sent } = await sceneOn(disk, LITTLE);
  daemon.process.kill("SIGTERM");
  expect(await daemon.exit()).toBe(0);
  const next = new Daemon(disk.folder, homeserver, disk);
  await next.ready();
  await eventually("an idle homeserver", () => homeserver.sender.isIdle);
  expect(disk.journal(next.process.pid!)).toEqual(sent);
});
