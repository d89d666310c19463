/**
 * Ways around what a tenant may: each was found once, alone or in a war (tenants-at-war.test.ts). What they have in common is that a name, a
 * pointer, or a part of a content that nobody looked at stood for a right.
 */
import { describe, expect, it, onTestFinished } from "vitest";
import { stringAt, type JsonObject } from "../../src/model/json.ts";
import { TENANT_ACTIONS } from "../../src/model/tenant.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { PSEUDOUSER, type Answer, type Settings } from "../support/service-app.ts";
import {
  allPower,
  at,
  cast,
  done,
  FRIEND,
  grant,
  LITTLE_POWER,
  OWNER,
  PERSONA_LEVELS,
  PROFILE,
  STRANGER,
} from "../support/war-cast.ts";
import { Dice } from "../support/war-dice.ts";
import { hostIsWell } from "../support/war-host.ts";
import { calm } from "../support/war-others.ts";
import { setScene, type Scene } from "../support/war-scene.ts";
import { nothingTold, told } from "../support/war-told.ts";
import { probe } from "../support/war.ts";

async function field(settings: Settings = {}): Promise<Scene> {
  return setScene(await cast(settings), new Dice(1));
}

/** The raider asks for something in a room; what it is told is looked at. */
async function asks(scene: Scene, method: string, target: string, body?: JsonObject): Promise<Answer> {
  const answer = await scene.raider.client.ask(method, target, body);
  nothingTold(scene, answer, `${method} ${target}`);
  const room = scene.homeserver.rooms.get(decodeURIComponent(/^\/rooms\/([^/]+)/.exec(target)?.[1] ?? ""));
  if (room !== undefined && method === "PUT") scene.truth.sent("raider", room, answer);
  return answer;
}

async function makes(scene: Scene, body: JsonObject): Promise<FakeRoom | null> {
  const answer = await asks(scene, "POST", "/createRoom", body);
  const room = scene.homeserver.rooms.get(stringAt(answer.body, "room_id") ?? "") ?? null;
  if (room !== null) scene.truth.madeFor(room, "raider");
  return room;
}

/** Whatever was tried: each private room is closed to the raider, and everything of the host's is as it was. */
async function nothingCameOfIt(scene: Scene): Promise<void> {
  const { service, truth, raider, rooms } = scene;
  await service.untilDelivered();
  for (const nr of [1, 2, 3, 4, 5, 6]) await probe(scene, new Dice(nr));
  for (const room of [rooms.secret, rooms.den, rooms.office]) {
    const { body } = await service.admin("GET", `/rooms/${encodeURIComponent(room.id)}`);
    expect(JSON.stringify(body["leases"] ?? body["holders"] ?? []), `who holds ${room.id}`).not.toContain("raider");
  }
  truth.verify();
  for (const { raw, path } of raider.listener.calls) told(scene, raw, path);
}

describe("rooms that name other rooms", () => {
  it.each(["secret", "den", "office", "shop"] as const)(
    "a tombstone that a stranger points at %s brings nobody there",
    async (name) => {
      const scene = await field();
      const { homeserver, rooms, raider } = scene;
      const content = { body: "moved", replacement_room: rooms[name].id };
      homeserver.send(rooms.lair, STRANGER, "m.room.tombstone", content, "");
      await nothingCameOfIt(scene);
      expect(await raider.client.joinedRooms()).not.toContain(rooms[name].id);
    },
  );

  it("nor does one of the raider's own, in a room of its own making", async () => {
    const scene = await field();
    const { rooms, raider } = scene;
    const content = { body: "moved", replacement_room: rooms.secret.id };
    await asks(scene, "PUT", `${at(rooms.own)}/state/m.room.tombstone/`, content);
    await nothingCameOfIt(scene);
    expect(await raider.client.joinedRooms()).not.toContain(rooms.secret.id);
  });

  it("nor a private room that does name the old one, where the host is", async () => {
    const scene = await field();
    const { homeserver, rooms, host, service } = scene;
    const creation = { predecessor: { room_id: rooms.lair.id, event_id: "$x" } };
    const next = homeserver.makeRoom({ creator: STRANGER, joinRule: "invite", creation, name: "canary-next" });
    await grant(scene, "host", [
      [["*"], TENANT_ACTIONS],
      [[rooms.secret.id, next.id], TENANT_ACTIONS],
    ]);
    homeserver.setMembership(next, PSEUDOUSER, "invite", STRANGER);
    await service.untilDelivered();
    done(await host.client.join(next.id));
    homeserver.send(rooms.lair, STRANGER, "m.room.tombstone", { body: "moved", replacement_room: next.id }, "");
    await nothingCameOfIt(scene);
    expect((await asks(scene, "GET", `${at(next)}/state`)).status).toBe(403);
  });

  it("a predecessor that a room claims gives nobody the power of who made that", async () => {
    const scene = await field();
    const { homeserver, rooms, raider, service } = scene;
    await grant(scene, "raider", [[["*"], ["read", "send", "create"]]]);
    const creation = { predecessor: { room_id: rooms.own.id, event_id: "$x" } };
    const claims = homeserver.makeRoom({ creator: STRANGER, creation });
    claims.append("m.room.power_levels", STRANGER, allPower(STRANGER), "");
    done(await raider.client.join(claims.id));
    await service.untilRoom(claims.id, { load: "loaded" });
    for (const path of ["/state/com.example.a/x", "/state/m.room.topic"]) {
      expect((await asks(scene, "PUT", `${at(claims)}${path}`, { v: 1 })).status).toBe(403);
    }
  });
});

describe("names that others point", () => {
  it.each([0, 1] as const)("an alias of a grant (%i) that is pointed elsewhere opens nothing there", async (nr) => {
    const scene = await field();
    const { homeserver, rooms, aliases, raider } = scene;
    for (const room of [rooms.secret, rooms.den, rooms.office]) {
      homeserver.aliases.set(aliases.hub[nr], room.id);
      expect((await raider.client.join(aliases.hub[nr])).status).toBe(403);
      await nothingCameOfIt(scene);
    }
  });

  it("nor does it give power in the host's room, where it is public", async () => {
    const scene = await field();
    const { homeserver, rooms, aliases, raider } = scene;
    homeserver.aliases.set(aliases.hub[0], rooms.shop.id);
    await raider.client.join(aliases.hub[0]);
    await raider.client.join(rooms.shop.id);
    const topic = await asks(scene, "PUT", `${at(rooms.shop)}/state/m.room.topic/`, { topic: "the raider's" });
    const kick = await asks(scene, "POST", `${at(rooms.shop)}/kick`, { user_id: "@victim:elsewhere.test" });
    expect([topic.status, kick.status]).toEqual([403, 403]);
    await nothingCameOfIt(scene);
  });

  it("a glob of aliases opens no private room", async () => {
    const scene = await field();
    const { aliases, raider } = scene;
    await grant(scene, "raider", [
      [["*"], TENANT_ACTIONS],
      [[`#*:${SERVER}`], TENANT_ACTIONS],
    ]);
    expect((await raider.client.join(aliases.team)).status).toBe(403);
    await nothingCameOfIt(scene);
  });

  it("a canonical alias that a room claims gives no right in it", async () => {
    const scene = await field();
    const { homeserver, rooms, aliases, service } = scene;
    await grant(scene, "raider", [
      [["*"], ["read", "send"]],
      [[aliases.hub[0]], TENANT_ACTIONS],
    ]);
    homeserver.send(rooms.lair, STRANGER, "m.room.canonical_alias", { alias: aliases.hub[0] }, "");
    await service.untilDelivered();
    expect((await asks(scene, "PUT", `${at(rooms.lair)}/state/com.example.a/x`, { v: 1 })).status).toBe(403);
  });
});

describe("contents that reach further than their event", () => {
  it.each(["state/m.room.message/k", "state/m.room.message/", "send/m.room.message/e1"])(
    "%s edits no message of the host's",
    async (path) => {
      const scene = await field();
      const { rooms, truth } = scene;
      const [target = ""] = truth.hostsIn(rooms.square);
      const edit = { msgtype: "m.text", body: "forged" };
      const content = { ...edit, "m.new_content": edit, "m.relates_to": { rel_type: "m.replace", event_id: target } };
      expect((await asks(scene, "PUT", `${at(rooms.square)}/${path}`, content)).status).not.toBe(200);
      truth.verify();
    },
  );

  it.each(["state/m.room.redaction/k", "state/m.room.redaction/", "send/m.room.redaction/e1"])(
    "%s redacts no message of the host's",
    async (path) => {
      const scene = await field();
      const { rooms, truth, homeserver } = scene;
      const levels = { ...LITTLE_POWER, events: { "m.room.redaction": 0 } };
      homeserver.send(rooms.square, FRIEND, "m.room.power_levels", levels, "");
      const [target = ""] = truth.hostsIn(rooms.square);
      await asks(scene, "PUT", `${at(rooms.square)}/${path}`, { redacts: target });
      truth.verify();
    },
  );

  it.each(["org.matrix.msc3912.with_relations", "with_rel_types"])(
    "a redaction with %s takes no answer of the host's away",
    async (key) => {
      const scene = await field();
      const { rooms, truth, host } = scene;
      const asked = await asks(scene, "PUT", `${at(rooms.square)}/send/m.room.message/q1`, {
        msgtype: "m.text",
        body: "?",
      });
      const question = stringAt(asked.body, "event_id") ?? "";
      const answer = { msgtype: "m.text", body: "!", "m.relates_to": { rel_type: "m.thread", event_id: question } };
      truth.sent("host", rooms.square, await host.client.send(rooms.square.id, answer));
      await asks(scene, "PUT", `${at(rooms.square)}/redact/${question}/r1`, { [key]: ["*"] });
      truth.verify();
    },
  );

  it.each([
    ["power_level_content_override", { events: {} }],
    ["creation_content", {}],
  ])("no mark that %s has comes through", async (key, content) => {
    const scene = await field();
    const room = await makes(scene, { preset: "public_chat", [key]: { ...content, [OWNER]: "host" } });
    const marks = room?.timeline.map((event) => event.content[OWNER]) ?? [];
    expect(marks).not.toContain("host");
    scene.truth.verify();
  });

  it("the first state of a room has no mark of another's", async () => {
    const scene = await field();
    const [ghost] = scene.host.personas;
    const content = { topic: "x", [OWNER]: "host", [PROFILE]: { id: ghost } };
    await makes(scene, { initial_state: [{ type: "m.room.topic", content }] });
    scene.truth.verify();
  });

  it("a tenant that makes a room has the homeserver call nobody", async () => {
    const scene = await field();
    const invite = { id_server: "evil.test", id_access_token: "x", medium: "email", address: "a@b.test" };
    await makes(scene, { invite_3pid: [invite] });
    expect(scene.homeserver.called).toEqual([]);
  });

  it("it invites no users of other tenants, nor the pseudouser", async () => {
    const scene = await field();
    const { personas, client } = scene.host;
    await makes(scene, { invite: [...personas, client.sender, PSEUDOUSER] });
    await makes(scene, { preset: "trusted_private_chat", invite: [personas[0]], is_direct: true });
    scene.truth.verify();
  });

  it.each(["creation_content", "upgrade"])("nor makes them creators, by %s", async (by) => {
    const scene = await field();
    const { rooms, host, truth, homeserver } = scene;
    const additional = { additional_creators: [host.personas[0], host.client.sender] };
    if (by === "upgrade") {
      const { body } = await asks(scene, "POST", `${at(rooms.own)}/upgrade`, { new_version: "12", ...additional });
      const next = homeserver.rooms.get(stringAt(body, "replacement_room") ?? "");
      if (next !== undefined) truth.madeFor(next, "raider");
    } else {
      await makes(scene, { room_version: "12", creation_content: additional });
    }
    truth.verify();
  });

  it.each([PROFILE, "m.per_message_profile"])("no %s of its own has the persona of another", async (key) => {
    const scene = await field();
    const { rooms, host, truth } = scene;
    const [ghost] = host.personas;
    const profile = { [key]: { id: ghost, displayname: "Ghost", [OWNER]: "host" } };
    const content = { msgtype: "m.text", body: "it is me", ...profile };
    const edited = { ...content, "m.new_content": content };
    for (const [nr, body] of [content, edited].entries()) {
      await asks(scene, "PUT", `${at(rooms.square)}/send/m.room.message/p${nr}`, body);
      await asks(scene, "PUT", `${at(rooms.square)}/send/m.sticker/s${nr}`, body);
    }
    truth.verify();
  });

  it("what another tenant's personas may in a room is not set", async () => {
    const scene = await field();
    const { rooms, host, truth } = scene;
    const [ghost] = host.personas;
    const levels = { users: { [ghost]: 100 }, [PERSONA_LEVELS]: { host: { [ghost]: 100 } } };
    await asks(scene, "PUT", `${at(rooms.hub)}/state/m.room.power_levels/`, levels);
    await makes(scene, { power_level_content_override: levels });
    await makes(scene, { initial_state: [{ type: "m.room.power_levels", state_key: "", content: levels }] });
    truth.verify();
  });
});

describe("things that are shared at the homeserver", () => {
  it.each(["v3", "r0"])("an address for a later upload is its maker's (%s)", async (version) => {
    const scene = await field();
    const { service, raider, reservation, truth } = scene;
    const target = `/_matrix/media/${version}/upload/${SERVER}/${reservation}`;
    const answer = await service.gateway("PUT", target, { token: raider.client.token, body: "the raider's" });
    expect(answer.status).not.toBe(200);
    truth.verify();
  });

  it("a tenant that makes rooms without end leaves the others some", async () => {
    const scene = await field({ policy: { maxRooms: 16 } });
    calm(scene);
    for (let made = 0; made < 16; made += 1)
      await scene.raider.client.ask("POST", "/createRoom", { preset: "public_chat" });
    await hostIsWell(scene);
  });

  it("one whose server takes nothing holds up nobody's deliveries", async () => {
    const scene = await field();
    const { raider, homeserver, rooms } = scene;
    raider.listener.reply = () => {};
    onTestFinished(() => calm(scene));
    for (const nr of [1, 2, 3]) homeserver.say(rooms.square, FRIEND, `to all ${nr}`);
    await hostIsWell(scene);
  });
});
