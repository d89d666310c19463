/** Rooms that aliases of our server point to stay alive, over HTTP with a homeserver that the test controls. */
import { describe, expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const DAY = 86_400_000;
const ALIAS = `#square:${SERVER}`;
const CREATOR = "@creator:elsewhere.test";

interface Started {
  readonly service: Service;
  readonly homeserver: FakeHomeserver;
}

const keeping = (aliases: Partial<NonNullable<Settings["aliases"]>> = {}, more: Settings = {}): Settings => ({
  aliases: { keep: true, ...aliases },
  attendance: { linger: 1_000 },
  ...more,
});

async function start(homeserver: FakeHomeserver, settings = keeping(), sqlite?: string): Promise<Started> {
  homeserver.tellsOfAliases = true;
  const service = await startService({ homeserver, settings, ...(sqlite === undefined ? {} : { sqlite }) });
  return { service, homeserver };
}

async function aliasesOf(service: Service): Promise<readonly JsonObject[]> {
  const { body } = await service.admin("GET", "/aliases");
  return Array.isArray(body["aliases"]) ? body["aliases"].filter((alias) => isJsonObject(alias)) : [];
}

/** Waits until an alias stands like this; null for one that is not known. */
async function untilAlias(service: Service, alias: string, wanted: JsonObject | null): Promise<JsonObject> {
  let found: JsonObject | null = null;
  try {
    return await eventually("an alias", async () => {
      found = (await aliasesOf(service)).find((one) => one["alias"] === alias) ?? null;
      if (wanted === null) return found === null ? {} : null;
      const line = found;
      return line !== null && Object.entries(wanted).every(([key, value]) => line[key] === value) ? line : null;
    });
  } catch {
    throw new Error(`${alias} did not become ${JSON.stringify(wanted)}; it is ${JSON.stringify(found)}`);
  }
}

async function sweep(service: Service): Promise<void> {
  const done = async (): Promise<unknown> => {
    const { sweep: progress } = (await service.admin("GET", "/aliases")).body;
    return isJsonObject(progress ?? null) && (progress as JsonObject)["running"] === false
      ? (progress as JsonObject)["finished_at"]
      : null;
  };
  const before = await eventually("a sweep having ended", done);
  expect((await service.admin("POST", "/aliases/sweep")).status).toBe(200);
  await eventually("another sweep having ended", async () => {
    const now = await done();
    return now !== null && now !== before;
  });
}

describe("a room that an alias of our server points to", () => {
  test("is joined once its canonical alias says so, and the directory does", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom();
    homeserver.aliases.set(ALIAS, room.id);
    homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    await untilAlias(service, ALIAS, { state: "kept", room_id: room.id });
    expect(room.membership(PSEUDOUSER)).toBe("join");
    expect((await service.room(room.id))["leases"]).toMatchObject([{ holder: `alias:${ALIAS}`, expires_at: null }]);
  });

  test("is found among alternative aliases, too, and other servers' are let be", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom();
    homeserver.aliases.set(ALIAS, room.id).set("#theirs:elsewhere.test", room.id);
    const content = { alias: "#theirs:elsewhere.test", alt_aliases: [7, ALIAS, "nonsense"] };
    homeserver.send(room, CREATOR, "m.room.canonical_alias", content, "");
    await untilAlias(service, ALIAS, { state: "kept" });
    expect(await aliasesOf(service)).toHaveLength(1);
  });

  test("is not joined because a room says so, where the directory says otherwise", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom();
    homeserver.aliases.set("#other:hs.test", room.id);
    homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    await eventually(
      "the directory having been asked",
      () => homeserver.seen("GET", /%23square%3Ahs\.test$/).length > 0,
    );
    await service.untilDelivered();
    expect(await aliasesOf(service)).toEqual([]);
    expect(room.membership(PSEUDOUSER)).toBeNull();
  });

  test.each([
    ["the room directory", { listed: true }, true],
    ["the homeserver's admin API", {}, true],
    ["the homeserver's admin API, though no event ever named it", {}, false],
  ])("is found at the start in %s", async (where, options, isCanonical) => {
    const homeserver = await fakeHomeserver();
    for (let other = 0; other < 3; other += 1) homeserver.makeRoom({ listed: true });
    const room = homeserver.makeRoom({ ...options, alias: ALIAS });
    if (isCanonical) room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    homeserver.tokens.set("token-of-root", `@root:${SERVER}`);
    homeserver.admins.add(`@root:${SERVER}`);
    const asAdmin = where.includes("admin") ? { homeserver: { adminToken: "token-of-root" } } : {};
    const { service } = await start(homeserver, keeping({}, asAdmin));
    await untilAlias(service, ALIAS, { state: "kept" });
    expect(room.membership(PSEUDOUSER)).toBe("join");
    expect(service.log.text).not.toContain("token-of-root");
  });

  test("is found in a room where the pseudouser is already", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom();
    await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {});
    homeserver.aliases.set(ALIAS, room.id);
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept" });
  });

  test("is left after the linger when the alias is gone", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept" });
    homeserver.aliases.delete(ALIAS);
    homeserver.send(room, CREATOR, "m.room.canonical_alias", {}, "");
    await untilAlias(service, ALIAS, null);
    await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave");
  });

  test("is changed for the one that the alias points to now", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const [old, fresh] = [homeserver.makeRoom({ alias: ALIAS, listed: true }), homeserver.makeRoom()];
    old.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept", room_id: old.id });
    homeserver.aliases.set(ALIAS, fresh.id);
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept", room_id: fresh.id });
    await eventually("the pseudouser being out of the old one", () => old.membership(PSEUDOUSER) === "leave");
  });

  test("is let go where aliases are kept no more", async () => {
    const homeserver = await fakeHomeserver();
    const sqlite = `${temporaryFolder()}/emissary.db`;
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    const first = await start(homeserver, keeping(), sqlite);
    await untilAlias(first.service, ALIAS, { state: "kept" });
    await first.service.app.stop();
    const { service } = await start(homeserver, keeping({ keep: false }), sqlite);
    await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave");
    expect((await service.admin("GET", "/aliases")).body["keep"]).toBe(false);
    expect((await service.admin("POST", "/aliases/sweep")).body["errcode"]).toBe("M_BAD_STATE");
  });
});

describe("a room that nobody but pseudousers is in any more", () => {
  async function deserted(
    settings: Settings,
  ): Promise<Started & { readonly room: ReturnType<FakeHomeserver["makeRoom"]> }> {
    const { service, homeserver } = await start(await fakeHomeserver(), settings);
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true, members: ["@:elsewhere.test"] });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept", empty_since: null });
    await service.untilRoom(room.id, { load: "loaded" });
    homeserver.setMembership(room, CREATOR, "leave");
    await service.untilDelivered();
    await sweep(service);
    return { service, homeserver, room };
  }

  test("is kept, and it is told since when", async () => {
    const { service, room } = await deserted(keeping());
    const { empty_since } = await untilAlias(service, ALIAS, { state: "kept" });
    expect(empty_since).toBeGreaterThan(0);
    expect(room.membership(PSEUDOUSER)).toBe("join");
  });

  test("is given up after a time where the operator wants that, and not taken again while it is empty", async () => {
    const { service, homeserver, room } = await deserted(keeping({ emptyRooms: "release", emptyAfter: 1 }));
    await sweep(service);
    const { advice } = await untilAlias(service, ALIAS, { state: "refused", code: "empty" });
    expect(advice).toContain("aliases.empty_rooms");
    await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave");
    const joins = homeserver.seen("POST", /\/join\//).length;
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "refused", code: "empty" });
    expect(homeserver.seen("POST", /\/join\//)).toHaveLength(joins);

    homeserver.setMembership(room, `@alice:${SERVER}`, "join");
    await service.untilDelivered();
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept", empty_since: null });
  });
});

describe("an alias that cannot be kept", () => {
  test("is told with policy's reason, and asked for again by sweeps only", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, joinRule: "invite", listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    const line = await untilAlias(service, ALIAS, { state: "refused", code: "join-rule", repair: null });
    expect(stringAt(line, "advice")).toContain("emissary rooms join");
    const looks = (): number => homeserver.seen("GET", /room_summary/).length;
    const before = looks();
    homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    const asked = homeserver.seen("GET", /directory\/room/).length;
    await eventually("the directory having been asked", () => homeserver.seen("GET", /directory\/room/).length > asked);
    await service.untilDelivered();
    expect(looks()).toBe(before);

    homeserver.send(room, CREATOR, "m.room.join_rules", { join_rule: "public" }, "");
    await service.untilDelivered();
    // A look from outside is believed for half a minute.
    await eventually("the alias being kept", async () => {
      await sweep(service);
      return (await aliasesOf(service))[0]?.["state"] === "kept";
    });
  });

  test("of a private room is kept where the pseudouser is already, and stays when whoever brought it goes", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom();
    const path = `/rooms/${encodeURIComponent(room.id)}`;
    await service.admin("POST", `${path}/join`, {});
    await service.untilRoom(room.id, { load: "loaded" });
    homeserver.send(room, CREATOR, "m.room.join_rules", { join_rule: "invite" }, "");
    homeserver.aliases.set(ALIAS, room.id);
    homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    await untilAlias(service, ALIAS, { state: "kept" });
    expect((await service.admin("POST", `${path}/leave`)).body["holders"]).toEqual([`alias:${ALIAS}`]);
  });

  test("is told with the homeserver's reason", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    homeserver.fault("POST", /\/join\//, { status: 403, body: { errcode: "M_FORBIDDEN", error: "Not you" } });
    await sweep(service);
    const line = await untilAlias(service, ALIAS, { state: "refused", code: "M_FORBIDDEN" });
    expect(line["reason"]).toContain("Not you");
  });

  test("of a room that the pseudouser was put out of is not tried again by what the room says", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept" });
    homeserver.setMembership(room, PSEUDOUSER, "leave", CREATOR);
    await untilAlias(service, ALIAS, { state: "refused", code: "kicked" });
    const joins = homeserver.seen("POST", /\/join\//).length;
    const asked = homeserver.seen("GET", /directory\/room/).length;
    homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    await eventually("the directory having been asked", () => homeserver.seen("GET", /directory\/room/).length > asked);
    await service.untilDelivered();
    expect(homeserver.seen("POST", /\/join\//)).toHaveLength(joins);
  });

  test("whose room is on other servers that tell nothing may be closed or dead: it is not called dangling", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    homeserver
      .makeRoom({ alias: ALIAS, listed: true, summary: false })
      .append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    const line = await untilAlias(service, ALIAS, { state: "unknown", code: "not-visible", repair: null });
    expect(line["reason"]).toContain("elsewhere.test");
  });
});

describe("an alias of a dead room", () => {
  const dead = { alias: ALIAS, listed: true, summary: false, servers: [SERVER] };

  test("dangles, and is removed at the operator's word, with a trace", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom(dead);
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    const { repair } = await untilAlias(service, ALIAS, { state: "dangling", code: "no-server" });
    expect(repair).toEqual({ act: "remove" });
    expect(homeserver.aliases.has(ALIAS)).toBe(true);
    const path = `/aliases/${encodeURIComponent(ALIAS)}/repair`;
    expect((await service.admin("POST", path, repair)).status).toBe(200);
    expect(homeserver.aliases.has(ALIAS)).toBe(false);
    expect(await aliasesOf(service)).toEqual([]);
    const { entries } = (await service.admin("GET", "/audit")).body;
    expect(entries).toContainEqual(
      expect.objectContaining({ actor: "operator", action: "alias.remove", outcome: "done", room_id: room.id }),
    );
  });

  test("dangles where the homeserver, asked to join, knows no server that is in it", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    const error = "Can't join remote room because no servers that are in the room have been provided.";
    homeserver.fault("POST", /\/join\//, { status: 404, body: { errcode: "M_NOT_FOUND", error } });
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "dangling", code: "M_NOT_FOUND" });
  });

  test.each([true, false])(
    "is pointed to the room that replaced it, where that says so, too: %s",
    async (isGenuine) => {
      const { service, homeserver } = await start(await fakeHomeserver());
      const old = homeserver.makeRoom({ ...dead, summary: true });
      old.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
      await sweep(service);
      await untilAlias(service, ALIAS, { state: "kept" });
      const fresh = homeserver.makeRoom(isGenuine ? { predecessor: old } : {});
      homeserver.setMembership(old, PSEUDOUSER, "ban", CREATOR);
      homeserver.send(old, CREATOR, "m.room.tombstone", { replacement_room: fresh.id }, "");
      const wanted = { act: "point", room_id: fresh.id, by: "replaced" };
      const { repair } = await untilAlias(service, ALIAS, { state: "refused", code: "banned" });
      expect(repair).toEqual(wanted);
      const path = `/aliases/${encodeURIComponent(ALIAS)}/repair`;
      expect((await service.admin("POST", path, { act: "remove" })).body["errcode"]).toBe("M_BAD_STATE");
      const answer = await service.admin("POST", path, wanted);
      if (!isGenuine) {
        expect([answer.status, answer.body["error"]]).toEqual([
          400,
          expect.stringContaining("does not say that it replaces it"),
        ]);
        expect(homeserver.aliases.get(ALIAS)).toBe(old.id);
        await service.untilRoom(fresh.id, { phase: "absent" });
        return;
      }
      expect(answer.status).toBe(200);
      expect(homeserver.aliases.get(ALIAS)).toBe(fresh.id);
      expect(fresh.membership(PSEUDOUSER)).toBe("join");
      await untilAlias(service, ALIAS, { state: "kept", room_id: fresh.id });
    },
  );

  test("is pointed to where it was to be, though the homeserver failed half-way", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const old = homeserver.makeRoom(dead);
    old.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    const other = homeserver.makeRoom();
    other.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await service.admin("POST", `/rooms/${encodeURIComponent(other.id)}/join`, {});
    await service.untilRoom(other.id, { load: "loaded" });
    await sweep(service);
    const { repair } = await untilAlias(service, ALIAS, { state: "dangling" });
    expect(repair).toEqual({ act: "point", room_id: other.id, by: "named" });
    homeserver.fault("PUT", /directory\/room/, { status: 403, body: { errcode: "M_FORBIDDEN", error: "Not now" } });
    const answer = await service.admin("POST", `/aliases/${encodeURIComponent(ALIAS)}/repair`, repair);
    expect(answer.body["error"]).toMatch(/register --force --aliases/);
    expect(homeserver.aliases.has(ALIAS)).toBe(false);
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept", room_id: other.id });
    expect(homeserver.aliases.get(ALIAS)).toBe(other.id);
  });
});

describe("bounds", () => {
  test("events that name an alias again and again cause a question now and then", async () => {
    const { service, homeserver } = await start(await fakeHomeserver(), keeping({ sweep: DAY }));
    await sweep(service);
    const room = homeserver.makeRoom();
    homeserver.aliases.set(ALIAS, room.id);
    for (let flap = 0; flap < 30; flap += 1) {
      homeserver.send(room, CREATOR, "m.room.canonical_alias", { alias: ALIAS, flap }, "");
    }
    await untilAlias(service, ALIAS, { state: "kept" });
    await service.untilDelivered();
    expect(homeserver.seen("GET", /directory\/room/).length).toBeLessThan(10);
  });

  test("a directory that says something else at each look has one room changed for the other in a sweep", async () => {
    const { service, homeserver } = await start(await fakeHomeserver(), keeping({ sweep: DAY }));
    await sweep(service);
    const rooms = [homeserver.makeRoom(), homeserver.makeRoom()];
    let looks = 0;
    homeserver.aliases.get = (alias) => (alias === ALIAS ? rooms[(looks += 1) % 2]?.id : undefined);
    const [first] = rooms;
    if (first === undefined) throw new Error("no room");
    homeserver.aliases.set(ALIAS, first.id);
    homeserver.send(first, CREATOR, "m.room.canonical_alias", { alias: ALIAS }, "");
    await untilAlias(service, ALIAS, { state: "kept" });
    for (let sweeps = 0; sweeps < 3; sweeps += 1) await sweep(service);
    const taken = service.query("SELECT id FROM leases WHERE kind = 'alias'");
    const live = service.query("SELECT id FROM leases WHERE kind = 'alias' AND ended_at IS NULL");
    expect({ taken: taken.length, live: live.length, looks }).toEqual({ taken: 4, live: 1, looks: 4 });
  });

  test("many aliases on a slow homeserver are all looked at", async () => {
    const homeserver = await fakeHomeserver();
    const names = Array.from({ length: 12 }, (_, nr) => `#room${nr}:${SERVER}`);
    for (const alias of names) {
      homeserver.makeRoom({ alias, listed: true }).append("m.room.canonical_alias", CREATOR, { alias }, "");
    }
    homeserver.fault("GET", /directory\/room/, { trickle: 1_000, pause: 20 }, 100);
    const { service } = await start(homeserver);
    for (const alias of names) await untilAlias(service, alias, { state: "kept" });
    expect(await aliasesOf(service)).toHaveLength(names.length);
  });

  test("what is refused because nothing is left to spend is taken once there is", async () => {
    const homeserver = await fakeHomeserver();
    const names = [1, 2, 3].map((nr) => `#room${nr}:${SERVER}`);
    for (const alias of names) {
      homeserver.makeRoom({ alias, listed: true }).append("m.room.canonical_alias", CREATOR, { alias }, "");
    }
    const settings = keeping({}, { policy: { joinsInAll: { joins: 1, per: 40_000 } } });
    const { service } = await start(homeserver, settings);
    await eventually("one being kept and two waiting", async () => {
      const found = (await aliasesOf(service))
        .map((one) => `${stringAt(one, "state") ?? ""} ${stringAt(one, "code") ?? ""}`)
        .sort();
      return found.join() === "kept ,unknown budget-all,unknown budget-all";
    });
    for (const alias of names) await untilAlias(service, alias, { state: "kept" });
  });

  test("a homeserver that is away for a while leaves all as it was", async () => {
    const { service, homeserver } = await start(await fakeHomeserver());
    const room = homeserver.makeRoom({ alias: ALIAS, listed: true });
    room.append("m.room.canonical_alias", CREATOR, { alias: ALIAS }, "");
    await sweep(service);
    await untilAlias(service, ALIAS, { state: "kept" });
    const mend = homeserver.fault("GET", /directory\/room/, { status: 502, body: {} }, 1_000);
    await service.admin("POST", "/aliases/sweep");
    await eventually("the sweep being broken off", () => service.log.events("warn").includes("aliases.sweep-failed"));
    mend();
    await untilAlias(service, ALIAS, { state: "kept" });
    expect(room.membership(PSEUDOUSER)).toBe("join");
  });
});
