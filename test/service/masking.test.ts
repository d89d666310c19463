/** Pseudousers are in rooms for their servers; a user who reads through the gateway does not find them among the people there. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import {
  eventually,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const TOKEN = "token-of-alice";
const OTHERS = "@:elsewhere.test";
const BOB = "@bob:elsewhere.test";

/** Alice looks into a room in which are its creator, Bob, another server's pseudouser and, for her sake, ours. */
async function scene(settings: Settings = {}): Promise<{ service: Service; room: FakeRoom; base: string }> {
  const service = await startService({ settings });
  service.homeserver.tokens.set(TOKEN, `@alice:${SERVER}`);
  const room = service.homeserver.makeRoom({ historyVisibility: "world_readable", members: [BOB, OTHERS] });
  const base = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}`;
  expect((await service.gateway("GET", `${base}/initialSync?via=elsewhere.test`, { token: TOKEN })).status).toBe(200);
  await service.untilRoom(room.id, { load: "loaded" });
  return { service, room, base };
}

function pseudousersIn({ raw }: Answer): string[] {
  return [...new Set(raw.toString("utf8").match(/"@:[^"]*"/g) ?? [])].map((text) => JSON.parse(text) as string).sort();
}

test.each(["initialSync", "members", "joined_members", "state", "messages?dir=b&limit=100"])(
  "%s is answered without them, and with them where that is asked for",
  async (what) => {
    const { service, base } = await scene();
    const ask = (query: string) => service.gateway("GET", `${base}/${query}`, { token: TOKEN });
    const answer = await ask(what);
    expect([answer.status, pseudousersIn(answer)]).toEqual([200, []]);
    expect(answer.raw.toString("utf8")).toContain(BOB);
    const all = await ask(`${what}${what.includes("?") ? "&" : "?"}include_pseudousers=true`);
    expect(pseudousersIn(all)).toEqual([PSEUDOUSER, OTHERS].sort());
  },
);

test("whoever asks for the membership itself is told it", async () => {
  const { service, base } = await scene();
  const asked = `${base}/state/m.room.member/${encodeURIComponent(PSEUDOUSER)}`;
  const answer = await service.gateway("GET", asked, { token: TOKEN });
  expect(answer.body).toMatchObject({ membership: "join" });
});

test("they do not count where a room's members are counted", async () => {
  const { service, room } = await scene();
  const path = `/_matrix/client/v1/room_summary/${encodeURIComponent(room.id)}`;
  const count = async (query: string): Promise<unknown> =>
    (await service.gateway("GET", `${path}?via=elsewhere.test${query}`, { token: TOKEN })).body["num_joined_members"];
  expect(await count("&include_pseudousers=true")).toBe(4);
  expect(await count("")).toBe(2);
});

// On homeservers that refuse an empty localpart it has another name, by which only we know it.
test("ours is kept out by the name that it was given, too", async () => {
  const { service, base } = await scene({ pseudouser: { localpart: "_server" } });
  const { body } = await service.gateway("GET", `${base}/joined_members`, { token: TOKEN });
  expect(Object.keys(body["joined"] as JsonObject).sort()).toEqual([BOB, "@creator:elsewhere.test"].sort());
});

test("an answer without them is passed on as it came, byte for byte", async () => {
  const { service } = await scene();
  const room = service.homeserver.makeRoom({ members: [`@alice:${SERVER}`] });
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/members`;
  const direct = await fetch(`${service.config.homeserver.url}${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const answer = await service.gateway("GET", path, { token: TOKEN });
  expect(answer.raw.equals(Buffer.from(await direct.arrayBuffer()))).toBe(true);
});

const MEBIBYTE = 1024 * 1024;

/** A room whose state is so large, and names pseudousers at its beginning, in its middle and at its end. */
function hugeRoom(service: Service, bytes: number): FakeRoom {
  service.homeserver.tokens.set(TOKEN, `@alice:${SERVER}`);
  const room = service.homeserver.makeRoom({ members: [OTHERS, `@alice:${SERVER}`] });
  const comes = (userId: string): unknown => room.append("m.room.member", userId, { membership: "join" }, userId);
  const topic = `${"x".repeat(64 * 1024)} \\"@:`;
  const count = Math.max(1_000, bytes / topic.length);
  for (let index = 0; index < count; index++) {
    if (index % 500 === 250) comes(`@:server-${index}.test`);
    room.append("com.example.topic", BOB, { topic }, String(index));
  }
  comes("@:last.test");
  return room;
}

function statePath(room: FakeRoom): string {
  return `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/state`;
}

test("an answer of 70 MiB is masked to its end", async () => {
  const service = await startService();
  const room = hugeRoom(service, 70 * MEBIBYTE);
  const answer = await service.gateway("GET", statePath(room), { token: TOKEN });
  expect(answer.raw.length).toBeGreaterThan(70 * MEBIBYTE);
  const events = JSON.parse(answer.raw.toString("utf8")) as readonly JsonObject[];
  expect(events).toEqual(room.state.filter((event) => !(event["state_key"] as string).startsWith("@:")));
});

test("a caller that does not read holds the homeserver back while its answer is masked", async () => {
  const service = await startService();
  const room = hugeRoom(service, 100 * MEBIBYTE);
  const asked = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: statePath(room),
    headers: { authorization: `Bearer ${TOKEN}` },
    agent: false,
  });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.pause();
  let before = -1;
  await eventually("the stream standing still", async () => {
    const still = before === service.homeserver.streamed;
    before = service.homeserver.streamed;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return still;
  });
  // What is on its way lies in the buffers of four sockets.
  expect(service.homeserver.streamed).toBeLessThan(64 * MEBIBYTE);
  answer.destroy();
});
