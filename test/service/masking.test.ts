/** Pseudousers are in rooms for their servers; a user who reads through the gateway does not find them among the people there. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { PSEUDOUSER, startService, type Answer, type Service, type Settings } from "../support/service-app.ts";

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

test.each(["initialSync", "members", "joined_members", "messages?dir=b&limit=100"])(
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
