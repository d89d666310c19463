/**
 * A copy takes the place of the database: numbers come again with other content, and nobody may take one for the other. Runs what
 * `npm run build` makes.
 */
import { copyFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { ask, eventually, fakeHomeserver, temporaryFolder, type Answer } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";
import { contentsById, TenantListener } from "../support/tenant-listener.ts";

const FILES = ["emissary.db", "emissary.db-wal", "emissary.db.seen"];

/** How a copy is made while the daemon runs, and whether it can be told from the database by what lies beside that. */
const COPIES: readonly (readonly [string, boolean, (daemon: Daemon, folder: string, to: string) => Promise<void>])[] = [
  [
    "`emissary backup`",
    true,
    async (daemon, _folder, to) => {
      expect((await daemon.admin("POST", "/backup", { path: path.join(to, "emissary.db") })).status).toBe(200);
    },
  ],
  ["cp of the database and its log", true, async (_daemon, folder, to) => copy(folder, to, FILES.slice(0, 2))],
  ["a snapshot of the whole folder", false, async (_daemon, folder, to) => copy(folder, to, FILES)],
];

function copy(from: string, to: string, names: readonly string[]): void {
  for (const name of names) {
    if (existsSync(path.join(from, name))) copyFileSync(path.join(from, name), path.join(to, name));
  }
}

/** As docs/set-up/backup.md says. */
function restore(from: string, folder: string): void {
  for (const name of FILES.slice(0, 2)) rmSync(path.join(folder, name), { force: true });
  rmSync(path.join(folder, "emissary.db-shm"), { force: true });
  copy(from, folder, readdirSync(from));
}

const eventsIn = (answer: Answer, roomId: string): JsonObject[] => {
  const rooms = answer.body["rooms"] as Record<string, Record<string, JsonObject>>;
  const timeline = (rooms["join"]?.[roomId]?.["timeline"] ?? {}) as JsonObject;
  return (timeline["events"] ?? []) as JsonObject[];
};
const isLimited = (answer: Answer, roomId: string): unknown => {
  const rooms = answer.body["rooms"] as Record<string, Record<string, JsonObject>>;
  return (rooms["join"]?.[roomId]?.["timeline"] as JsonObject | undefined)?.["limited"];
};

test.each(COPIES)(
  "after the restore of %s no transaction ID comes with other content, and a token of the lost time begins anew",
  async (_how, isKnown, makeCopy) => {
    const homeserver = await fakeHomeserver();
    const room = homeserver.makeRoom();
    const folder = temporaryFolder();
    const saved = temporaryFolder();
    const listener = await new TenantListener().listen();
    let daemon = new Daemon(folder, homeserver);
    let { gateway, admin } = await daemon.ready();
    const { body } = await daemon.admin("POST", "/tenants", { id: "one", url: listener.url });
    const pushed = (isJsonObject(body["registration"]) ? stringAt(body["registration"], "as_token") : null) ?? "";
    const polling = await daemon.tenant("two");
    for (const token of [pushed, polling]) {
      const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
      expect((await ask(gateway, "POST", join, { token, body: {} })).status).toBe(200);
    }
    const said: string[] = [];
    const speak = async (what: string): Promise<string[]> => {
      const ids = [1, 2, 3, 4, 5].map((n) => homeserver.say(room, "@creator:elsewhere.test", `${what} ${n}`).event_id);
      said.push(...ids);
      await eventually(`what was said ${what} being taken`, () => ids.every((id) => listener.events.includes(id)));
      return ids;
    };
    const sync = (since: string | null): Promise<Answer> =>
      ask(gateway, "GET", `/_matrix/client/v3/sync${since === null ? "" : `?since=${since}`}`, { token: polling });
    const next = (answer: Answer): string => answer.body["next_batch"] as string;

    await speak("before");
    await eventually("an idle homeserver", () => homeserver.sender.isIdle);
    const before = next(await sync(null));
    await makeCopy(daemon, folder, saved);
    await speak("in the lost time");
    const first = await sync(before);
    expect(eventsIn(first, room.id)).toHaveLength(5);
    let lost = next(first);

    // The same copy a second time: the numbers of the first restore come again, too.
    for (const round of ["after the first restore", "after the second"]) {
      // How far the database has come is noted once in a second.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      daemon.process.kill("SIGKILL");
      await daemon.exit();
      restore(saved, folder);
      daemon = new Daemon(folder, homeserver);
      ({ gateway, admin } = await daemon.ready());
      const ids = await speak(round);
      expect(contentsById(listener).every((contents) => contents === 1)).toBe(true);

      const anew = await sync(lost);
      expect(anew.status).toBe(200);
      expect(isLimited(anew, room.id)).toBe(true);
      expect((await daemon.admin("GET", "/tenants/two")).body["sync_anew"]).toMatchObject({ why: "restored" });
      const metrics = (await ask(admin, "GET", "/metrics")).raw.toString();
      const missedOnce = 'emissary_tenant_sync_anew_total{why="restored"} 1';
      expect(metrics).toContain(missedOnce);
      expect(daemon.entry("tenant.sync-anew")).toMatchObject({ level: "warn", tenant: "two", why: "restored" });

      // Who had come only as far as the copy goes on, and misses nothing of what is there.
      const on = await sync(before);
      expect(eventsIn(on, room.id).map((event) => event["event_id"])).toEqual(expect.arrayContaining(ids));
      expect((await ask(admin, "GET", "/metrics")).raw.toString()).toContain(missedOnce);

      const { restored } = (await daemon.admin("GET", "/status")).body;
      const audit = (await daemon.admin("GET", "/audit")).body["entries"] as JsonObject[];
      expect(audit.some(({ action }) => action === "database.restore")).toBe(isKnown);
      expect(restored).toEqual(
        isKnown ? { written_until: expect.any(Number) as number, lost_until: expect.any(Number) as number } : null,
      );
      expect(daemon.entry("database.restored") !== null).toBe(isKnown);
      lost = next(anew);
      await speak(`${round}, again`);
      lost = next(await sync(lost));
    }

    daemon.process.kill("SIGTERM");
    expect(await daemon.exit()).toBe(0);
    daemon = new Daemon(folder, homeserver);
    ({ gateway } = await daemon.ready());
    // An ordinary restart is none of this.
    expect((await daemon.admin("GET", "/status")).body["restored"]).toBeNull();
    expect(isLimited(await sync(lost), room.id)).toBeUndefined();
    expect(daemon.entry("tenant.sync-anew")).toBeNull();
  },
  60_000,
);
