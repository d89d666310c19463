/**
 * Bots and ghosts that are invited by their own ID, to rooms that the pseudouser has no way into but by them: who was invited lets it in
 * where the room's rules allow that, and whoever invited it is told what became of it.
 */
import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import {
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  type Answer,
  type ServiceOptions,
  type TenantClient,
} from "../support/service-app.ts";

const ALICE = "@alice:elsewhere.test";
const USERS = `@_one_.*:${SERVER}`;
const ANNA = `@_one_anna:${SERVER}`;

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

async function scene(options: ServiceOptions = {}) {
  const homeserver = options.homeserver ?? (await fakeHomeserver());
  homeserver.namespaces.push(/^@_emissary_/, /^@_one_/);
  const service = await startService({ ...options, homeserver });
  const [one, two] = [await service.tenant("one", undefined, USERS), await service.tenant("two")];
  return { service, one, two, homeserver };
}

type Scene = Awaited<ReturnType<typeof scene>>;

function closed({ homeserver }: Scene, options: RoomOptions = {}): FakeRoom {
  return homeserver.makeRoom({ joinRule: "invite", summary: false, creator: ALICE, ...options });
}

async function invite({ service, homeserver }: Scene, room: FakeRoom, user: string, more: JsonObject = {}) {
  homeserver.send(room, ALICE, "m.room.member", { membership: "invite", ...more }, user);
  await service.untilDelivered();
}

/** The reasons that a user of ours gave when it went. */
const reasons = (room: FakeRoom, user: string): unknown[] =>
  room.timeline
    .filter(
      ({ type, state_key, content }) =>
        type === "m.room.member" && state_key === user && content["membership"] === "leave",
    )
    .map(({ content }) => content["reason"]);

async function invitesOf(client: TenantClient): Promise<string[]> {
  const { body } = await client.ask("GET", "/sync");
  const rooms = isJsonObject(body["rooms"]) ? body["rooms"] : {};
  return Object.keys(isJsonObject(rooms["invite"]) ? rooms["invite"] : {});
}

describe("a user of a tenant's that is invited by its own ID", () => {
  test.each([
    ["a bot", `@_emissary_one:${SERVER}`, "to a private room", {}],
    ["a bot", `@_emissary_one:${SERVER}`, "to a direct chat", { is_direct: true }],
    ["a ghost", ANNA, "to a private room", {}],
    ["a ghost", ANNA, "to a direct chat", { is_direct: true }],
  ])("%s (%s) %s has the pseudouser let in, and is out again", async (_who, user, _where, content) => {
    const all = await scene();
    const { service, one, two, homeserver } = all;
    const client = one.as(user);
    const { body } = await one.ask("GET", "/sync");
    const room = closed(all);
    await invite(all, room, user, content);
    if (user === one.sender) {
      const since = body["next_batch"] as string;
      await eventually("the invite", async () => {
        const synced = (await one.ask("GET", `/sync?since=${since}`)).body["rooms"];
        return isJsonObject(synced) && JSON.stringify(synced["invite"]).includes(room.id);
      });
    }
    expect(outcome(await two.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    expect((await client.join(room.id)).status).toBe(200);
    expect(await client.joinedRooms()).toEqual([room.id]);
    expect((await client.send(room.id, { msgtype: "m.text", body: "here" })).status).toBe(200);
    await eventually("its being out", () => room.membership(user) === "leave");
    expect(room.users("join")).toEqual([ALICE, PSEUDOUSER].sort());
    expect(reasons(room, user)).toEqual([expect.stringContaining(PSEUDOUSER) as unknown]);
    await service.untilDelivered();
    const members = (await one.ask("GET", `/rooms/${encodeURIComponent(room.id)}/members`)).body[
      "chunk"
    ] as JsonObject[];
    expect(members.map((event) => [event["state_key"], (event["content"] as JsonObject)["membership"]])).toEqual([
      [ALICE, "join"],
      [user, "join"],
    ]);
    expect(service.query("SELECT * FROM stand_ins")).toEqual([]);
    expect(homeserver.registered.has(user)).toBe(true);
  });

  test("and joins before its inviter's server has the invite itself is let in a moment later", async () => {
    const all = await scene();
    const room = closed(all);
    await invite(all, room, all.one.sender);
    const refusal = { status: 403, body: { errcode: "M_FORBIDDEN", error: "not invited" } };
    const membership = /m\.room\.member\/.*_emissary_one/;
    all.homeserver.fault("PUT", membership, refusal, 2);
    expect((await all.one.join(room.id)).status).toBe(200);
    expect(room.users("join")).toContain(PSEUDOUSER);
    const joins = all.homeserver.seen("PUT", membership).filter(({ text }) => text.includes('"join"'));
    expect(joins).toHaveLength(3);
  });

  test("and lets the pseudouser in before the room's other servers have that invite is in a moment later", async () => {
    const all = await scene();
    const room = closed(all);
    await invite(all, room, all.one.sender);
    const refusal = { status: 403, body: { errcode: "M_FORBIDDEN", error: "not invited" } };
    // Without an invite it is refused, and twice while the invite is on its way.
    all.homeserver.fault("POST", /^\/_matrix\/client\/v3\/join\//, refusal, 3);
    expect((await all.one.join(room.id)).status).toBe(200);
    expect(room.users("join")).toContain(PSEUDOUSER);
  });

  test("to a public room has the pseudouser join, and its own invite is answered", async () => {
    const all = await scene();
    const room = all.homeserver.makeRoom({ creator: ALICE });
    await invite(all, room, all.one.sender);
    expect((await all.one.join(room.id)).status).toBe(200);
    await eventually("the answer", () => room.membership(all.one.sender) === "leave");
    const joins = room.timeline.filter(
      ({ sender, content }) => sender === all.one.sender && content["membership"] === "join",
    );
    expect(joins).toEqual([]);
    expect(reasons(room, all.one.sender)).toEqual([expect.stringContaining(PSEUDOUSER) as unknown]);
  });

  test("where the room lets nobody invite, tells the inviter what to do, and the tenant", async () => {
    const all = await scene();
    all.homeserver.heedsPower = true;
    const room = closed(all);
    room.append("m.room.power_levels", ALICE, { users: { [ALICE]: 100 }, invite: 50 }, "");
    await invite(all, room, all.one.sender);
    const answer = await all.one.join(room.id);
    expect(outcome(answer)).toEqual([403, "M_FORBIDDEN"]);
    expect(answer.body["error"]).toContain(`have ${PSEUDOUSER} invited there, with "one" as the reason`);
    await eventually("its being out", () => room.membership(all.one.sender) === "leave");
    expect(reasons(room, all.one.sender)).toEqual([
      expect.stringContaining(`Invite ${PSEUDOUSER} to this room`) as unknown,
    ]);
    // And that works.
    await invite(all, room, PSEUDOUSER, { reason: "one" });
    expect((await all.one.join(room.id)).status).toBe(200);
  });

  test("that its operator lets into certain rooms only is declined without a word of why", async () => {
    const all = await scene();
    const only = { rooms: ["!other:elsewhere.test"], actions: ["read"], only: true };
    expect((await all.service.admin("POST", "/tenants/one/grants", only)).status).toBe(200);
    const room = closed(all);
    await invite(all, room, all.one.sender);
    expect(outcome(await all.one.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    await eventually("its being out", () => room.membership(all.one.sender) === "leave");
    expect(reasons(room, all.one.sender)).toEqual(["It cannot take part in this room."]);
    expect(
      room.timeline.some(({ sender, content }) => sender === all.one.sender && content["membership"] === "join"),
    ).toBe(false);
  });

  test("is declined by the tenant with the reason that it gives", async () => {
    const all = await scene();
    const room = closed(all);
    await invite(all, room, ANNA);
    await all.one.as(ANNA).ask("POST", `/rooms/${encodeURIComponent(room.id)}/leave`, { reason: "no, thank you" });
    await eventually("its being out", () => room.membership(ANNA) === "leave");
    expect(reasons(room, ANNA)).toEqual(["no, thank you"]);
  });

  test("is not used by another tenant, nor after it was taken back", async () => {
    const all = await scene();
    const room = closed(all);
    await invite(all, room, ANNA);
    expect(outcome(await all.two.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    all.homeserver.send(room, ALICE, "m.room.member", { membership: "leave" }, ANNA);
    await all.service.untilDelivered();
    expect(outcome(await all.one.as(ANNA).join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    expect(room.users("join")).toEqual([ALICE]);
    expect(await invitesOf(all.two)).toEqual([]);
  });

  test.each([
    ["after it came in", /state\/m\.room\.member\/%40%3A/],
    ["before it came in", /state\/m\.room\.member\/%40_/],
  ])("is out in the end, where Emissary ends %s", async (_when, path) => {
    const homeserver = await fakeHomeserver();
    const all = await scene({ homeserver });
    const room = closed(all);
    await invite(all, room, all.one.sender);
    homeserver.fault("PUT", path, "hang");
    const asked = all.one.join(room.id).catch(() => null);
    await eventually("its coming in", () => homeserver.seen("PUT", path).length > 0);
    await all.service.app.stop();
    await asked;
    const again = await startService({ homeserver, sqlite: all.service.config.storage.sqlite });
    expect((await all.one.at(again).join(room.id)).status).toBe(200);
    await eventually("its being out", () => room.membership(all.one.sender) === "leave");
    expect(room.users("join")).toEqual([ALICE, PSEUDOUSER].sort());
  });
});
