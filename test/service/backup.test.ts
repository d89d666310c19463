/**
 * One database, one daemon, and copies of it: a second daemon is refused, a backup is made while events come in, and from its
 * copy Emissary goes on. Runs what `npm run build` makes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { journalEvents, storedMembers } from "../support/database.ts";
import { eventually, fakeHomeserver, startService, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";

const EMISSARY = path.join(import.meta.dirname, "../../bin/emissary");

/** A command as an operator runs it. */
async function emissary(folder: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const config = ["--config", path.join(folder, "emissary.yaml")];
  const child = spawn(EMISSARY, [...args, ...config], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, EMISSARY_NODE: process.execPath },
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** A port that nothing has. */
async function port(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return free;
}

const idsIn = (sqlite: string): string[] => journalEvents(sqlite).map(({ event_id }) => event_id);

test("a second daemon on one database is refused, named, and disturbs nothing; after kill -9 another may start", async () => {
  const homeserver = await fakeHomeserver();
  const folder = temporaryFolder();
  const first = new Daemon(folder, homeserver);
  await first.ready();
  const asked = homeserver.requests.length;
  const second = new Daemon(folder, homeserver);
  expect(await second.exit()).toBe(1);
  expect(second.entry("emissary.cannot-run")).toMatchObject({
    level: "error",
    error: expect.stringMatching(
      `The database ${first.sqlite} is in use by \`emissary run\`, process ${String(first.process.pid)} on .+, since 20`,
    ) as string,
  });
  expect(homeserver.requests.slice(asked).filter(({ method }) => method !== "GET")).toEqual([]);
  expect((await first.admin("GET", "/status")).status).toBe(200);
  first.process.kill("SIGKILL");
  await first.exit();
  const third = new Daemon(folder, homeserver);
  await third.ready();
  third.process.kill("SIGTERM");
  expect(await third.exit()).toBe(0);
});

test("a backup taken in a stream of events is a sound copy, and from it nothing is lost that is sent again", async () => {
  const first = await startService();
  const { homeserver } = first;
  const room = homeserver.makeRoom();
  const tenant = await first.tenant("one");
  expect((await tenant.join(room.id)).status).toBe(200);
  await first.untilRoom(room.id, { phase: "present", load: "loaded" });
  const sent: ReturnType<typeof homeserver.say>[] = [];
  const speak = (): void => {
    const n = sent.length;
    if (n % 4 === 0) sent.push(homeserver.setMembership(room, `@visitor${n}:elsewhere.test`, "join"));
    else sent.push(homeserver.say(room, "@creator:elsewhere.test", `event ${n} ${"x".repeat(1_000)}`));
  };
  const stream = setInterval(speak, 1);
  await eventually("some events", () => homeserver.sender.acknowledged.length > 200);
  const copy = path.join(temporaryFolder(), "copy.db");
  const made = await first.admin("POST", "/backup", { path: copy });
  expect(made).toMatchObject({ status: 200, body: { path: copy, bytes: statSync(copy).size } });
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  await eventually("more events", () => homeserver.sender.acknowledged.length > 400);
  clearInterval(stream);
  await first.untilDelivered();
  const all = first.journal();
  const members = storedMembers(first.config.storage.sqlite, room.id);
  await first.app.stop();

  const db = new Database(copy);
  expect(db.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  db.close();
  const kept = idsIn(copy);
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThan(all.length);
  expect(kept).toEqual(all.slice(0, kept.length));
  // The ledger is of the same moment: who joined by an event in the copy is a member there, and nobody else.
  const joined = sent.filter(({ type, event_id }) => type === "m.room.member" && kept.includes(event_id));
  const visitors = storedMembers(copy, room.id).filter(({ user_id }) => user_id.startsWith("@visitor"));
  expect(visitors.map(({ event_id }) => event_id).sort()).toEqual(joined.map(({ event_id }) => event_id).sort());

  const second = await startService({ homeserver, sqlite: copy });
  for (const event of sent) homeserver.sender.push(event);
  await second.untilDelivered();
  expect(second.journal()).toEqual(all);
  expect(storedMembers(copy, room.id)).toEqual(members);
  expect((await second.admin("GET", "/tenants/one")).body).toMatchObject({ id: "one", leases: 1 });
});

test("what is no path of a new file is refused, and the audit tells of what was made", async () => {
  const service = await startService();
  for (const body of [{}, { path: "relative.db" }, { path: "" }, { path: "/a\0b" }, { path: "/tmp/a", more: 1 }]) {
    expect((await service.admin("POST", "/backup", body)).status).toBe(400);
  }
  const there = service.config.storage.sqlite;
  expect(await service.admin("POST", "/backup", { path: there })).toMatchObject({
    status: 409,
    body: { error: `${there} exists already and is not overwritten.`, "org.matrix.msc1777.code": "in-use" },
  });
  const copy = path.join(path.dirname(there), "copy.db");
  await service.admin("POST", "/backup", { path: copy });
  const audit = (await service.admin("GET", "/audit")).body["entries"];
  expect(audit).toEqual([expect.objectContaining({ action: "backup.make", actor: "operator", outcome: "done" })]);
});

test("`emissary backup` asks the daemon, and makes the copy itself where there is none", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const folder = temporaryFolder();
  const daemon = new Daemon(folder, homeserver, { ports: { admin: await port() } });
  const { admin } = await daemon.ready();
  expect((await daemon.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`)).status).toBe(200);
  await eventually("an idle homeserver", () => homeserver.sender.isIdle);

  const asked = await emissary(folder, "backup", "one.db");
  expect(asked).toMatchObject({
    code: 0,
    err: "",
    out: expect.stringContaining(path.join(folder, "one.db")) as string,
  });
  expect(await emissary(folder, "backup", "one.db")).toMatchObject({
    code: 1,
    err: `emissary: ${path.join(folder, "one.db")} exists already and is not overwritten.\n`,
  });
  daemon.process.kill("SIGKILL");
  await daemon.exit();
  expect(await emissary(folder, "backup", "two.db")).toMatchObject({ code: 0, err: "" });
  expect(statSync(path.join(folder, "two.db")).mode & 0o777).toBe(0o600);
  const ids = idsIn(daemon.sqlite);
  expect(ids.length).toBeGreaterThan(0);
  expect(idsIn(path.join(folder, "one.db"))).toEqual(ids);
  expect(idsIn(path.join(folder, "two.db"))).toEqual(ids);

  // As docs/set-up/backup.md says: the copy takes the place of the database.
  const restored = temporaryFolder();
  copyFileSync(path.join(folder, "two.db"), path.join(restored, "emissary.db"));
  const again = new Daemon(restored, homeserver, { ports: { admin } });
  await again.ready();
  expect((await again.admin("GET", `/rooms/${encodeURIComponent(room.id)}`)).body).toMatchObject({ phase: "present" });
});

test("a daemon that runs and cannot be asked keeps its database to itself: exit code 4, and nothing is made", async () => {
  const homeserver = await fakeHomeserver();
  const folder = temporaryFolder();
  const daemon = new Daemon(folder, homeserver);
  await daemon.ready();
  // The operator has changed admin.listen since it started.
  const config = path.join(folder, "emissary.yaml");
  writeFileSync(
    config,
    readFileSync(config, "utf8").replace(
      'admin: { listen: "127.0.0.1:0"',
      `admin: { listen: "127.0.0.1:${await port()}"`,
    ),
  );
  const { code, err } = await emissary(folder, "backup", "copy.db");
  expect(code).toBe(4);
  expect(err).toContain("not reachable");
  expect(err).toContain(`is in use by \`emissary run\`, process ${String(daemon.process.pid)}`);
  expect(existsSync(path.join(folder, "copy.db"))).toBe(false);
});
