/**
 * What tenants do to others' memberships, by whichever call, and what they see of memberships, on whichever surface: their own doings as
 * their own, and the pseudouser's coming and going nowhere.
 */
import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { RoomOptions } from "../support/fake-homeserver-rooms.ts";
import { PSEUDOUSER, startService, eventually, type Answer, type TenantClient } from "../support/service-app.ts";
import { TenantListener } from "../support/tenant-listener.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const OWNER = "org.matrix.msc1777.on_behalf_of";
const PERSONA = "org.matrix.msc1777.persona";
const REDACT = "org.matrix.msc4293.redact_events";
const CREATOR = "@creator:elsewhere.test";
const VICTIM = "@victim:elsewhere.test";
const ANNA = `@_one_anna:${SERVER}`;
const USERS = `@_one_.*:${SERVER}`;
const ALL = ["read", "send", "redact", "redact-others", "state", "room-state", "invite", "kick", "ban"];

function outcome({ status, body }: Answer): unknown[] {
  return [status, body["errcode"]];
}

async function scene(actions: readonly string[] = ALL, room: RoomOptions = {}) {
  const here = await tenantsInARoom({ one: { actions: [...actions], users: USERS } }, { room });
  const { homeserver } = here.service;
  const anna = here.one.as(ANNA);
  expect((await anna.join(here.room.id)).status).toBe(200);
  await here.service.untilDelivered();
  const target = `${here.base}/state/m.room.member/${encodeURIComponent(VICTIM)}`;
  const set = (membership: string) => homeserver.setMembership(here.room, VICTIM, membership, CREATOR);
  return { ...here, anna, target, set, homeserver };
}

describe("somebody else's membership, set as state", () => {
  test.each([
    ["invite", null, "invite", { is_direct: true, reason: "hello" }],
    ["leave", "join", "kick", { reason: "spam" }],
    ["leave", "invite", "kick", {}],
    ["leave", "ban", "ban", { reason: "forgiven" }],
    ["ban", "join", "ban", { reason: "spam", "com.example.x": [1] }],
    ["ban", null, "ban", {}],
  ])("to %s from %s takes the action %s alone, and keeps %j", async (membership, before, action, content) => {
    const { service, one, anna, room, target, set } = await scene(["read", action]);
    if (before !== null) set(before);
    const answer = await anna.ask("PUT", target, { membership, ...content });
    expect([answer.status, answer.body]).toEqual([200, { event_id: expect.any(String) as unknown }]);
    const event = room.stateEvent("m.room.member", VICTIM)!;
    expect(event.event_id).toBe(answer.body["event_id"]);
    expect([event.sender, event.content]).toEqual([
      PSEUDOUSER,
      { membership, ...content, [OWNER]: "one", [PERSONA]: ANNA },
    ]);
    const back = await one.ask(
      "GET",
      `/rooms/${encodeURIComponent(room.id)}/event/${encodeURIComponent(event.event_id)}`,
    );
    expect(back.body).toMatchObject({ sender: ANNA, content: { membership, ...content } });
    const { body } = await service.admin("GET", "/audit?limit=5");
    expect(JSON.stringify(body)).toContain(VICTIM);
  });

  test.each([
    ["invite", null, "invite"],
    ["leave", "join", "kick"],
    ["leave", "invite", "kick"],
    ["leave", "ban", "ban"],
    ["ban", "join", "ban"],
  ])("to %s from %s is refused with every action but %s", async (membership, before, action) => {
    const { one, room, target, set } = await scene(ALL.filter((each) => each !== action));
    if (before !== null) set(before);
    expect(outcome(await one.ask("PUT", target, { membership }))).toEqual([403, "M_FORBIDDEN"]);
    expect(room.membership(VICTIM)).toBe(before);
  });

  test.each(["join", "knock", "com.example", undefined])("to %s is refused with every right", async (membership) => {
    const { one, room, target } = await scene();
    const answer = await one.ask("PUT", target, membership === undefined ? {} : { membership });
    expect(outcome(answer)).toEqual([403, "M_FORBIDDEN"]);
    expect(room.membership(VICTIM)).toBe(null);
  });

  test.each(["third_party_invite", "join_authorised_via_users_server"])("never with %s", async (key) => {
    const { one, room, target } = await scene();
    expect(outcome(await one.ask("PUT", target, { membership: "invite", [key]: {} }))).toEqual([403, "M_FORBIDDEN"]);
    expect(room.membership(VICTIM)).toBe(null);
  });

  test("has the user's messages redacted (MSC4293) where the tenant may redact others', by either call", async () => {
    for (const [actions, status] of [
      [ALL, 200],
      [ALL.filter((action) => action !== "redact-others"), 403],
    ] as const) {
      const { one, room, base, target, set } = await scene(actions);
      set("join");
      const ban = { membership: "ban", [REDACT]: true };
      expect((await one.ask("PUT", target, ban)).status).toBe(status);
      if (status === 200) expect(room.stateEvent("m.room.member", VICTIM)!.content).toMatchObject(ban);
      set("join");
      expect((await one.ask("POST", `${base}/ban`, { user_id: VICTIM, [REDACT]: true })).status).toBe(status);
      expect(room.membership(VICTIM)).toBe(status === 200 ? "ban" : "join");
    }
  });

  test("stays the homeserver's to refuse: its word goes back to the tenant", async () => {
    const { one, target, homeserver, room } = await scene();
    const body = { errcode: "M_FORBIDDEN", error: "You don't have permission to ban" };
    homeserver.fault("PUT", /m\.room\.member/, { status: 403, body });
    const answer = await one.ask("PUT", target, { membership: "ban" });
    expect([answer.status, answer.body]).toEqual([403, body]);
    expect(room.membership(VICTIM)).toBe(null);
  });

  test("takes a lease in the room, and reaches no user of another tenant's", async () => {
    const { service, room, base, target } = await scene();
    const two = await service.tenant("two", ALL, `@_two_.*:${SERVER}`);
    expect(outcome(await two.ask("PUT", target, { membership: "ban" }))).toEqual([403, "M_FORBIDDEN"]);
    expect((await two.join(room.id)).status).toBe(200);
    const anna = `${base}/state/m.room.member/${encodeURIComponent(ANNA)}`;
    for (const membership of ["invite", "leave", "ban"]) {
      expect(outcome(await two.ask("PUT", anna, { membership }))).toEqual([403, "M_FORBIDDEN"]);
    }
    expect(room.membership(ANNA)).toBe(null);
  });
});

describe("a kick by its own call", () => {
  test.each([
    ["kick", "ban"],
    ["kick", "leave"],
    ["kick", null],
    ["unban", "join"],
    ["unban", null],
  ])("%s of one whose membership is %s is refused, as a homeserver does", async (what, before) => {
    const { one, room, base, set } = await scene();
    if (before !== null) set(before);
    expect(outcome(await one.ask("POST", `${base}/${what}`, { user_id: VICTIM }))).toEqual([403, "M_FORBIDDEN"]);
    expect(room.membership(VICTIM)).toBe(before);
  });
});

describe("redacting", () => {
  const redact = (client: TenantClient, base: string, eventId: string) =>
    client.ask("PUT", `${base}/redact/${encodeURIComponent(eventId)}/r${eventId.length}${eventId}`, { reason: "spam" });
  const sendRedaction = (client: TenantClient, base: string, eventId: string) =>
    client.ask("PUT", `${base}/send/m.room.redaction/s${eventId}`, { redacts: eventId });

  test.each([
    ["redact", 200, 403],
    ["redact-others", 403, 200],
  ])("with the action %s alone: its own %i, others' %i, another tenant's never", async (action, own, others) => {
    for (const way of [redact, sendRedaction]) {
      const { service, one, room, base, homeserver } = await scene(["read", "send", action]);
      const two = await service.tenant("two", ALL);
      await two.join(room.id);
      const mine = (await one.send(room.id, { body: "mine" })).body["event_id"] as string;
      const twos = (await two.send(room.id, { body: "two's" })).body["event_id"] as string;
      const said = homeserver.say(room, CREATOR, "theirs").event_id;
      expect((await way(one, base, mine)).status).toBe(own);
      expect((await way(one, base, said)).status).toBe(others);
      expect(outcome(await way(one, base, twos))).toEqual([403, "M_FORBIDDEN"]);
      expect(room.event(twos)!.content["body"]).toBe("two's");
      expect(Object.keys(room.event(said)!.content).length > 0).toBe(others === 403);
    }
  });

  test("others' state takes the right to set it, too; a membership does not, and what makes the room stays", async () => {
    const { service, room, base, homeserver } = await scene();
    const three = await service.tenant("three", ["read", "send", "redact-others"]);
    await three.join(room.id);
    const topic = homeserver.send(room, CREATOR, "m.room.topic", { topic: "x" }, "").event_id;
    const custom = homeserver.send(room, CREATOR, "com.example", { x: 1 }, "").event_id;
    const member = homeserver.setMembership(room, VICTIM, "join").event_id;
    const create = room.stateEvent("m.room.create")!.event_id;
    const own = room.stateEvent("m.room.member", PSEUDOUSER)!.event_id;
    const outcomes = [];
    for (const id of [topic, custom, member, create, own]) outcomes.push((await redact(three, base, id)).status);
    expect(outcomes).toEqual([403, 403, 200, 403, 403]);
  });
});

/** Every string in an answer that could name somebody, wherever it stands. */
function namesIn(value: JsonValue | undefined, under = ""): string[] {
  if (typeof value === "string") return under === "state_key" || under === "sender" ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((one) => namesIn(one, under));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(key.startsWith("@") ? [key] : []),
    ...namesIn(inner, key),
  ]);
}

describe("what a tenant sees of memberships", () => {
  test("has the pseudouser nowhere, and its own doings as its own", async () => {
    const { service, one, anna, room, base, homeserver } = await scene(ALL, { creator: CREATOR });
    const listener = await new TenantListener().listen();
    await service.admin("POST", "/tenants/one/set", { url: listener.url });
    // The pseudouser goes and comes back, changes its profile, and is invited in between.
    homeserver.send(room, PSEUDOUSER, "m.room.member", { membership: "join", displayname: "Server" }, PSEUDOUSER);
    const kicked = (await anna.ask("POST", `${base}/ban`, { user_id: VICTIM, reason: "spam" })).status;
    const invited = (await one.ask("POST", `${base}/invite`, { user_id: "@guest:elsewhere.test" })).status;
    expect([kicked, invited]).toEqual([200, 200]);
    const last = homeserver.say(room, CREATOR, "last").event_id;
    await service.untilDelivered();
    await eventually("the delivery", () => listener.events.includes(last));
    const own = room.timeline.find(({ type, state_key }) => type === "m.room.member" && state_key === PSEUDOUSER)!;
    const surfaces: Record<string, JsonObject> = {
      transactions: { events: listener.transactions.flatMap(({ body }) => body["events"] as JsonValue[]) },
    };
    for (const path of [
      `/sync`,
      `${base}/messages?dir=b&limit=100`,
      `${base}/messages?dir=f&limit=100`,
      `${base}/members`,
      `${base}/members?membership=join`,
      `${base}/joined_members`,
      `${base}/context/${encodeURIComponent(last)}?limit=100`,
      `${base}/relations/${encodeURIComponent(last)}`,
    ]) {
      const asked = path.includes("/relations/") ? `/_matrix/client/v1${path}` : `/_matrix/client/v3${path}`;
      const answer = await service.gateway("GET", asked, { token: one.token });
      expect([path, answer.status]).toEqual([path, 200]);
      surfaces[path] = answer.body;
    }
    for (const path of [
      `/_matrix/client/v1${base}/hierarchy`,
      `/_matrix/client/v1/room_summary/${encodeURIComponent(room.id)}`,
    ]) {
      const { body } = await service.gateway("GET", path, { token: one.token });
      const [told] = Array.isArray(body["rooms"]) ? (body["rooms"] as JsonObject[]) : [body];
      expect([path, told!["num_joined_members"]]).toEqual([path, 3]);
    }
    const state = await one.ask("GET", `${base}/state`);
    surfaces["state"] = { state: JSON.parse(state.raw.toString()) as JsonValue };
    for (const [surface, answer] of Object.entries(surfaces)) {
      expect([surface, namesIn(answer).filter((name) => name === PSEUDOUSER)]).toEqual([surface, []]);
    }
    const bans = (surface: string): unknown =>
      JSON.stringify(surfaces[surface]).includes(`"sender":"${ANNA}"`) &&
      !JSON.stringify(surfaces[surface]).includes(OWNER);
    for (const surface of ["transactions", "state", `${base}/members`, `${base}/messages?dir=b&limit=100`]) {
      expect([surface, bans(surface)]).toEqual([surface, true]);
    }
    const joinedIn = (events: JsonValue): string[] =>
      (events as JsonObject[])
        .filter(({ type, content }) => type === "m.room.member" && (content as JsonObject)["membership"] === "join")
        .map(({ state_key }) => state_key as string)
        .sort();
    const members = [CREATOR, one.sender, ANNA].sort();
    expect(joinedIn(surfaces["state"]["state"]!)).toEqual(members);
    expect(joinedIn(surfaces[`${base}/members`]!["chunk"]!)).toEqual(members);
    expect(Object.keys(surfaces[`${base}/joined_members`]!["joined"] as JsonObject).sort()).toEqual(members);
    for (const path of [
      `${base}/event/${encodeURIComponent(own.event_id)}`,
      `${base}/context/${encodeURIComponent(own.event_id)}`,
      `${base}/state/m.room.member/${encodeURIComponent(PSEUDOUSER)}`,
    ]) {
      expect([path, ...outcome(await one.ask("GET", path))]).toEqual([path, 404, "M_NOT_FOUND"]);
    }
  });
});

test("a tenant keeps what it wants of a room before it is there, and afterwards, apart from other tenants", async () => {
  const service = await startService();
  const [one, two] = [await service.tenant("one"), await service.tenant("two")];
  const room = service.homeserver.makeRoom({ joinRule: "invite", summary: false });
  const at = (of: TenantClient): string =>
    `/user/${encodeURIComponent(of.sender)}/rooms/${encodeURIComponent(room.id)}/account_data/heisenbridge`;
  expect(outcome(await one.ask("GET", at(one)))).toEqual([404, "M_NOT_FOUND"]);
  expect((await one.ask("PUT", at(one), { network: "irc" })).status).toBe(200);
  expect((await one.ask("GET", at(one))).body).toEqual({ network: "irc" });
  expect(outcome(await two.ask("GET", at(two)))).toEqual([404, "M_NOT_FOUND"]);
  expect(outcome(await two.ask("GET", at(one)))).toEqual([403, "M_FORBIDDEN"]);
  expect(await one.joinedRooms()).toEqual([]);
});
