import { expect } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom } from "./fake-homeserver-rooms.ts";
import { eventually } from "./service-app.ts";
import { at, canary, done, isPseudousers, nextNumber } from "./war-cast.ts";
import type { Dice } from "./war-dice.ts";
import type { Scene } from "./war-scene.ts";

/** How long the host waits for what is its own, milliseconds. */
const PATIENCE_MS = 8_000;

type Deed = (scene: Scene, dice: Dice) => Promise<void>;

function someRoom({ rooms }: Scene, dice: Dice): FakeRoom {
  return dice.pick([rooms.secret, rooms.den, rooms.shop, rooms.square]);
}

function isPrivate({ rooms }: Scene, room: FakeRoom): boolean {
  return room === rooms.secret || room === rooms.den;
}

/** What the host says in a room: what nobody else may hear, where nobody else is. */
function said(scene: Scene, room: FakeRoom): JsonObject {
  return { msgtype: "m.text", body: isPrivate(scene, room) ? canary("said") : `the host's ${nextNumber()}` };
}

const send: Deed = async (scene, dice) => {
  const room = someRoom(scene, dice);
  const { client, personas } = scene.host;
  const [ghost, mole] = personas;
  const user = dice.pick([client.sender, isPrivate(scene, room) ? mole : ghost]);
  const by = user === client.sender ? client : client.as(user);
  if (by !== client) done(await by.join(room.id));
  scene.truth.sent("host", room, await by.send(room.id, said(scene, room), { txn: txn() }));
};

/** Never the same twice, also of a persona: what is sent is to arrive. */
function txn(): string {
  return `t~${nextNumber()}`;
}

const edit: Deed = async (scene, dice) => {
  const room = someRoom(scene, dice);
  const { truth, host } = scene;
  const messages = truth.hostsIn(room).filter((id) => {
    const event = room.event(id);
    return event?.type === "m.room.message" && event.content["m.relates_to"] === undefined;
  });
  if (messages.length === 0) return;
  const original = dice.pick(messages);
  const content = said(scene, room);
  const edited = {
    ...content,
    "m.relates_to": { rel_type: "m.replace", event_id: original },
    "m.new_content": content,
  };
  const eventId = truth.sent("host", room, await host.client.send(room.id, edited, { txn: txn() }));
  truth.edited(original, eventId ?? "");
};

const redact: Deed = async (scene, dice) => {
  const room = someRoom(scene, dice);
  const { truth, host } = scene;
  const messages = truth.hostsIn(room).filter((id) => room.event(id)?.type === "m.room.message");
  if (messages.length < 4) return;
  const target = dice.pick(messages);
  truth.gone(target);
  const path = `${at(room)}/redact/${encodeURIComponent(target)}/${txn()}`;
  truth.sent("host", room, await host.client.ask("PUT", path, {}));
};

const setState: Deed = async (scene, dice) => {
  const room = someRoom(scene, dice);
  const { truth, host } = scene;
  const content = { v: isPrivate(scene, room) ? canary("state") : nextNumber() };
  truth.sent("host", room, await host.client.ask("PUT", `${at(room)}/state/com.example.a/host`, content));
};

const note: Deed = async ({ host, truth, homeserver }) => {
  const { client } = host;
  const own = `/user/${encodeURIComponent(client.sender)}/account_data/com.example.notes`;
  const notes = { notes: canary("notes") };
  done(await client.ask("PUT", own, notes));
  const [key] = [...homeserver.accountData].find(([, value]) => value["notes"] === notes.notes) ?? [];
  if (key === undefined) throw new Error("the host's notes were not kept");
  truth.hostNoted(key, notes);
  expect(done(await client.ask("GET", own))).toEqual(notes);
};

const read: Deed = async (scene, dice) => {
  const room = someRoom(scene, dice);
  done(await scene.host.client.ask("GET", `${at(room)}/messages?dir=b&limit=5`));
  expect(await scene.host.client.joinedRooms()).toContain(room.id);
};

const joinAnother: Deed = async ({ host, homeserver, truth }) => {
  const room = homeserver.makeRoom();
  done(await host.client.join(room.id));
  const content = { msgtype: "m.text", body: "hello" };
  truth.sent("host", room, await host.client.send(room.id, content, { txn: txn() }));
  done(await host.client.leave(room.id));
};

const DEEDS: readonly Deed[] = [send, send, send, edit, edit, redact, setState, note, read, read, joinAnother];

/** The host does something that it may: it has to succeed, whatever the raider does at the same time. */
export async function hostActs(scene: Scene, dice: Dice): Promise<void> {
  const deed = dice.pick(DEEDS);
  scene.trace.push(`host: ${deed.name}`);
  await deed(scene, dice);
}

/** At the end: the host has all that it had, and is brought all that happened where it is. */
export async function hostIsWell(scene: Scene): Promise<void> {
  const { service, host, rooms, homeserver, truth } = scene;
  const { client, personas } = host;
  const tenant = done(await service.admin("GET", "/tenants/host"));
  expect(tenant["paused_at"]).toBeNull();
  expect(tenant["grants"]).toEqual(scene.hostsGrants);
  const own = [rooms.secret, rooms.den, rooms.shop, rooms.square];
  for (const room of own) {
    done(await client.ask("GET", `${at(room)}/state`));
    truth.sent("host", room, await client.send(room.id, said(scene, room), { txn: txn() }));
  }
  expect(await client.joinedRooms()).toEqual(expect.arrayContaining(own.map(({ id }) => id)));
  for (const [persona, room] of [
    [personas[0], rooms.shop],
    [personas[1], rooms.secret],
  ] as const) {
    expect(await client.as(persona).joinedRooms()).toContain(room.id);
    const { displayname } = done(await client.ask("GET", `/profile/${encodeURIComponent(persona)}`));
    expect(displayname).toMatch(/^Ghost$|^canary-persona/);
  }
  await joinAnother(scene, scene.dice);
  const upload = await service.gateway("PUT", `/_matrix/media/v3/upload/hs.test/${scene.reservation}`, {
    token: client.token,
    body: "the host's",
  });
  expect([upload.status, upload.body]).toEqual([200, upload.body]);
  await delivered(scene, own);
  await service.untilDelivered();
  expect(homeserver.sender.isIdle).toBe(true);
}

/** Each event of people in the host's rooms, and its own, comes to its server. */
async function delivered({ service, host, begun }: Scene, rooms: readonly FakeRoom[]): Promise<void> {
  await service.untilDelivered();
  const due = rooms.flatMap(({ timeline, id }) => {
    const since = timeline.slice(begun.get(id) ?? 0);
    return since
      .filter((event) => !isPseudousers(event) || event.type === "m.room.message")
      .map((event) => event.event_id);
  });
  let missing: string[] = due;
  await eventually(
    "the host's server having all that happened",
    () => {
      const taken = new Set(host.listener.events);
      missing = due.filter((eventId) => !taken.has(eventId));
      return missing.length === 0;
    },
    PATIENCE_MS,
  ).catch((error: unknown) => {
    throw new Error(
      `the host was not brought ${missing.length} of ${due.length} events: ${missing.slice(0, 5).join()}`,
      {
        cause: error,
      },
    );
  });
}
