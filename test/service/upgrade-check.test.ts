/** `emissary rooms upgrade-check`: what would change for a room that moves to MSC1777's room version. */
import { expect, test } from "vitest";
import { startService } from "../support/service-app.ts";

const check = (room: string, query = "") => `/rooms/${encodeURIComponent(room)}/upgrade-check${query}`;

test("a room that the pseudouser is in is told of from the ledger, with its servers", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const tenant = await service.tenant("bot");
  await tenant.join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  const answer = await service.admin("GET", check(room.id));
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ room_id: room.id, standing: "closed" });
  const servers = new Set([...room.users("join")].map((user) => user.slice(user.indexOf(":") + 1)));
  expect(JSON.stringify(answer.body["notes"])).toContain(`${servers.size} servers, of whatever software`);
});

test("one that it is not in is looked at from outside, and one that nobody can tell of is not found", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  expect((await service.admin("GET", check(room.id, "?via=elsewhere.test"))).body).toMatchObject({
    room_id: room.id,
    standing: "closed",
  });
  const unknown = await service.admin("GET", check("!nowhere:elsewhere.test"));
  expect(unknown.status).toBe(404);
  expect(unknown.body["error"]).toMatch(/--via/);
});

test("what is no room is refused", async () => {
  const service = await startService();
  expect((await service.admin("GET", check("lobby"))).status).toBe(400);
});
