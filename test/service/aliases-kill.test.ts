/** `emissary run`, killed while it looks after aliases. Runs what `npm run build` makes. */
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { eventually, fakeHomeserver, PSEUDOUSER, temporaryFolder } from "../support/service-app.ts";
import { Daemon } from "../support/service-daemon.ts";

const CREATOR = "@creator:elsewhere.test";

async function aliasesOf(daemon: Daemon): Promise<readonly JsonObject[]> {
  const { body } = await daemon.admin("GET", "/aliases");
  return Array.isArray(body["aliases"]) ? body["aliases"].filter((alias) => isJsonObject(alias)) : [];
}

test("killed with -9 in the middle of a sweep, the next start finishes it", async () => {
  const homeserver = await fakeHomeserver();
  const rooms = Array.from({ length: 6 }, (_, nr) => {
    const alias = `#room${nr}:${SERVER}`;
    const room = homeserver.makeRoom({ alias, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias }, "");
    return room;
  });
  const folder = temporaryFolder();
  const first = new Daemon(folder, homeserver);
  const mend = homeserver.fault("GET", /directory\/room\/%23room[345]/, "hang", 3);
  await first.ready();
  await eventually(
    "half of them being joined",
    () => rooms.filter((room) => room.membership(PSEUDOUSER) === "join").length === 3,
  );
  first.process.kill("SIGKILL");
  await first.exit();
  mend();

  const second = new Daemon(folder, homeserver);
  await eventually("all of them being kept", async () => {
    const found = await aliasesOf(second);
    return found.length === 6 && found.every(({ state }) => state === "kept");
  });
  expect(rooms.every((room) => room.membership(PSEUDOUSER) === "join")).toBe(true);
}, 60_000);

test("killed with -9 between removing an alias and pointing it elsewhere, the next start points it there", async () => {
  const homeserver = await fakeHomeserver();
  const alias = `#square:${SERVER}`;
  const dead = homeserver.makeRoom({ alias, listed: true, summary: false, servers: [SERVER] });
  dead.append("m.room.canonical_alias", CREATOR, { alias }, "");
  const other = homeserver.makeRoom();
  other.append("m.room.canonical_alias", CREATOR, { alias }, "");
  const folder = temporaryFolder();
  const first = new Daemon(folder, homeserver);
  await first.ready();
  await first.admin("POST", `/rooms/${encodeURIComponent(other.id)}/join`, {});
  const repair = { act: "point", room_id: other.id, by: "named" };
  await eventually("the repair being proposed", async () => {
    const [found] = await aliasesOf(first);
    return JSON.stringify(found?.["repair"]) === JSON.stringify(repair);
  });
  homeserver.fault("PUT", /directory\/room/, "hang");
  const repairing = first.admin("POST", `/aliases/${encodeURIComponent(alias)}/repair`, repair).catch(() => "cut off");
  await eventually("the alias being gone", () => !homeserver.aliases.has(alias));
  await eventually("it being pointed elsewhere", () => homeserver.seen("PUT", /directory\/room/).length === 1);
  first.process.kill("SIGKILL");
  expect(await repairing).toBe("cut off");

  const second = new Daemon(folder, homeserver);
  await second.ready();
  await eventually("the alias being there again", () => homeserver.aliases.get(alias) === other.id);
  await eventually("it being kept", async () => (await aliasesOf(second))[0]?.["state"] === "kept");
}, 60_000);
