/** `emissary run`, killed while a user waits to look into a room. Runs what `npm run build` makes. */
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { ask, eventually, fakeHomeserver, PSEUDOUSER, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";

function liveLeases(sqlite: string): unknown[] {
  const db = new Database(sqlite, { readonly: true });
  try {
    return db.prepare("SELECT holder FROM leases WHERE kind = 'peek' AND ended_at IS NULL").all();
  } finally {
    db.close();
  }
}

test("killed with -9 while a user waits, it leaves a lease that ends by itself, and the room after it", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom({ historyVisibility: "world_readable" });
  const folder = temporaryFolder();
  const options = { config: "peek: { idle: 10s }\nattendance: { linger: 0s }" };
  const first = new Daemon(folder, homeserver, options);
  const { gateway } = await first.ready();
  homeserver.fault("POST", /\/join\//, "hang");
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/initialSync?via=elsewhere.test`;
  const waiting = ask(gateway, "GET", path, { token: "token-of-alice" }).catch(() => "cut off");
  await eventually("the join", () => homeserver.seen("POST", /\/join\//).length === 1);
  first.process.kill("SIGKILL");
  expect(await waiting).toBe("cut off");
  expect(liveLeases(first.sqlite)).toHaveLength(1);

  const second = new Daemon(folder, homeserver, options);
  await second.ready();
  // Nobody but the lease knows of the user any more: for as long as it lasts, the room is kept for whoever asks again.
  await eventually("the pseudouser being in", () => room.membership(PSEUDOUSER) === "join");
  await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave", 25_000);
  expect(liveLeases(second.sqlite)).toEqual([]);
}, 60_000);
