/**
 * On a real Synapse: a tenant that neither sends what it began nor reads what it asked for, and strangers who have servers asked that
 * never answer. Another tenant sends and joins meanwhile, and a user looks into a room.
 */
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MatrixUser } from "../../homeservers/synapse/client.ts";
import { halfSent, head, Slow } from "../support/slow.ts";
import { openStage, type Stage } from "../support/stage.ts";

const V3 = "/_matrix/client/v3";

let stage: Stage;
let bob: MatrixUser;
/** A server that takes connections and says nothing. */
let silent: Server;
let asked = 0;

beforeAll(async () => {
  silent = createServer((socket) => {
    asked += 1;
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
});
afterAll(async () => {
  await stage.close();
  silent.close();
});

function square(): Promise<string> {
  const visible = {
    type: "m.room.history_visibility",
    state_key: "",
    content: { history_visibility: "world_readable" },
  };
  return bob.createRoom({ preset: "public_chat", initial_state: [visible] });
}

it("who is slow on purpose keeps nobody else from sending, joining and looking in", async () => {
  const evil = await stage.emissary.addTenant("evil");
  const good = await stage.tenant("good");
  const [here, there, seen] = [await square(), await square(), await square()];
  const via = [stage.theirs.serverName];
  await good.join(here, via);
  await new MatrixUser({
    homeserverUrl: stage.emissary.gatewayUrl,
    userId: evil.sender,
    accessToken: evil.token,
  }).join(here, via);

  const slow = new Slow(Number(new URL(stage.emissary.gatewayUrl).port));
  const alias = encodeURIComponent(`#x:127.0.0.1:${(silent.address() as AddressInfo).port}`);
  await slow.many(100, () => halfSent("POST", "/_matrix/media/v3/upload", evil.token));
  await slow.many(100, (nr) =>
    halfSent("PUT", `${V3}/rooms/${encodeURIComponent(here)}/send/m.room.message/${nr}`, evil.token),
  );
  await slow.many(100, () => head("GET", `${V3}/rooms/${encodeURIComponent(here)}/messages?dir=b`, evil.token));
  await slow.many(100, () => head("GET", `${V3}/directory/room/${alias}`, null));

  await good.sendText(here, "still here");
  await good.join(there, via);
  await good.sendText(there, "and here");
  const { userId, accessToken } = await stage.ours.registerUser("alice");
  const alice = new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
  const look = await alice.request("GET", `${V3}/rooms/${encodeURIComponent(seen)}/initialSync`, { via });
  expect(look.status).toBe(200);
  expect(await bob.joinedMembers(seen)).toContain(stage.pseudouser);
  // Strangers may have aliases looked up, a few at once.
  expect(asked).toBeLessThanOrEqual(16);
});
