/**
 * `emissary run` as a process: signals, and what is left after it was killed. Runs what `npm run build` makes.
 */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { Daemon } from "../support/service-daemon.ts";
import { ask, eventually, fakeHomeserver, gate, PSEUDOUSER, temporaryFolder } from "../support/service-app.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s lets a request in hand finish, and the exit code is 0",
  async (signal) => {
    const homeserver = await fakeHomeserver();
    const room = homeserver.makeRoom();
    const daemon = new Daemon(temporaryFolder(), homeserver);
    const { gateway } = await daemon.ready();
    const token = await daemon.tenant("one");
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}`;
    expect((await ask(gateway, "POST", `${path}/join`, { token, body: {} })).status).toBe(200);
    const slow = gate();
    homeserver.fault("PUT", /\/send\//, { waitFor: slow.opened });
    const asked = ask(gateway, "PUT", `${path}/send/m.room.message/1`, { token, body: { body: "x" } });
    await eventually("the send", () => homeserver.seen("PUT", /\/send\//).length === 1);
    daemon.process.kill(signal);
    await eventually("the daemon stopping", () => daemon.entry("emissary.stopping"));
    slow.open();
    expect((await asked).status).toBe(200);
    expect(await daemon.exit()).toBe(0);
    expect(daemon.log).not.toMatch(/"level":"error"/);
  },
);

test("a second signal ends it at once", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const daemon = new Daemon(temporaryFolder(), homeserver);
  const { gateway } = await daemon.ready();
  const token = await daemon.tenant("one");
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}`;
  await ask(gateway, "POST", `${path}/join`, { token, body: {} });
  homeserver.fault("PUT", /\/send\//, "hang");
  const asked = ask(gateway, "PUT", `${path}/send/m.room.message/1`, { token, body: {} }).catch(() => "broken off");
  await eventually("the send", () => homeserver.seen("PUT", /\/send\//).length === 1);
  daemon.process.kill("SIGTERM");
  await eventually("the daemon stopping", () => daemon.entry("emissary.stopping"));
  daemon.process.kill("SIGTERM");
  expect(await daemon.exit()).toBe(1);
  expect(await asked).toBe("broken off");
});

test("it stops cleanly while it still waits for the homeserver, down or hanging", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.fault("GET", /whoami/, "hang", 100);
  const daemon = new Daemon(temporaryFolder(), homeserver);
  await eventually("the first question", () => homeserver.seen("GET", /whoami/).length > 0);
  daemon.process.kill("SIGTERM");
  expect(await daemon.exit()).toBe(0);
});

test.each(["appservice", "gateway", "admin"] as const)(
  "a port of %s.listen that another program has is named, and the exit code is 1",
  async (section) => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const daemon = new Daemon(temporaryFolder(), await fakeHomeserver(), { ports: { [section]: port } });
    expect(await daemon.exit()).toBe(1);
    expect(daemon.entry("emissary.cannot-run")).toMatchObject({
      level: "error",
      cause: expect.stringContaining(`127.0.0.1:${port} (${section}.listen)`) as string,
    });
  },
);

test("a homeserver that refuses the empty localpart ends it with the way out", async () => {
  const homeserver = await fakeHomeserver();
  homeserver.refusedLocalparts.set("", "User ID may only contain…");
  const daemon = new Daemon(temporaryFolder(), homeserver);
  expect(await daemon.exit()).toBe(1);
  const cause = daemon.entry("emissary.cannot-run")?.["cause"];
  expect(cause).toContain("pseudouser.localpart");
  expect(cause).toContain(PSEUDOUSER);
});

/**
 * Where the database does not take what the keeper writes (a full disk, say), the room stays due and its step fails anew at
 * once. A round without a pause then never lets anything else run: no request, no transaction, not even a signal.
 */
test("a step of the keeper that cannot be written starves nothing, and is made once it can", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const daemon = new Daemon(temporaryFolder(), homeserver);
  const { gateway, admin } = await daemon.ready();
  const token = await daemon.tenant("one");
  const other = new Database(daemon.sqlite);
  try {
    for (const deed of ["INSERT", "UPDATE"]) {
      other.exec(
        `CREATE TRIGGER broken_${deed} BEFORE ${deed} ON attendance WHEN NEW.phase <> 'absent' OR NEW.tries > 0 ` +
          "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
      );
    }
    const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
    const asked = ask(gateway, "POST", join, { token, body: {} }).catch(() => null);
    await eventually("the step failing", () => daemon.entry("keeper.step-failed"));
    const health = await Promise.race([
      ask(admin, "GET", "/health").then(({ status }) => status),
      new Promise((resolve) => setTimeout(resolve, 5_000, "starved")),
    ]);
    expect(health).toBe(200);
    for (const deed of ["INSERT", "UPDATE"]) other.exec(`DROP TRIGGER broken_${deed}`);
    expect((await asked)?.status).toBe(200);
  } finally {
    other.close();
  }
});

/** Rewrites one value in the configuration of the daemon in `folder`. */
function edit(folder: string, from: string, to: string): void {
  const file = path.join(folder, "emissary.yaml");
  const text = readFileSync(file, "utf8");
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
}

test("SIGHUP has it go by another configuration, name what waits for a restart, and keep the old one where that has mistakes", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const folder = temporaryFolder();
  const daemon = new Daemon(folder, homeserver, { config: "policy: { max_rooms: 1000, max_members: 1 }" });
  const { gateway } = await daemon.ready();
  const token = await daemon.tenant("one");
  const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
  room.append("m.room.member", "@second:elsewhere.test", { membership: "join" }, "@second:elsewhere.test");
  expect((await ask(gateway, "POST", join, { token, body: {} })).body).toMatchObject({
    "org.matrix.msc1777.reason": "member-cap",
  });

  edit(folder, "max_members: 1 }", "max_members: many }");
  daemon.process.kill("SIGHUP");
  const refused = await eventually("the mistake being told", () => daemon.entry("config.not-reloaded"));
  expect(refused["error"]).toContain("policy.max_members");

  edit(folder, "max_members: many }", "max_members: 100 }");
  edit(folder, "level: info, format: json", "level: debug, format: json");
  edit(folder, 'listen: "127.0.0.1:0" }\nadmin', 'listen: "127.0.0.1:1" }\nadmin');
  daemon.process.kill("SIGHUP");
  const reloaded = await eventually("the new configuration", () => daemon.entry("config.reloaded"));
  expect(reloaded["applied"]).toEqual(["policy.max_members", "log.level"]);
  const waiting = await eventually("what waits for a restart", () => daemon.entry("config.needs-restart"));
  expect(waiting["keys"]).toEqual(["gateway.listen"]);
  expect((await ask(gateway, "POST", join, { token, body: {} })).status).toBe(200);
  await eventually("the request in the log", () => daemon.entry("http.request"));
  daemon.process.kill("SIGTERM");
  expect(await daemon.exit()).toBe(0);
});
