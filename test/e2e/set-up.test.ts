import { statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";

describe("the pseudouser", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ settings: { policy: { own_invites: "keep" } } });
  });
  afterAll(() => stage.close());

  it("exists after the first start, with the server's name as its own", async () => {
    expect(await stage.askAsPseudouser("/_matrix/client/v3/account/whoami")).toMatchObject({
      user_id: `@:${stage.ours.serverName}`,
    });
    const profile = await stage.askAsPseudouser(`/_matrix/client/v3/profile/${encodeURIComponent(stage.pseudouser)}`);
    expect(profile).toMatchObject({ displayname: `${stage.ours.serverName} (preview)` });
  });

  it("is found as it is by a second start", async () => {
    expect(await stage.emissary.end()).toBe(0);
    await stage.emissary.start();
    expect(await stage.emissary.json("status")).toMatchObject({ ready: true, pseudouser: stage.pseudouser });
  });

  it("can be invited from the other server, which asks for its profile first", async () => {
    const bob = await stage.user(stage.theirs, "bob");
    const roomId = await bob.createRoom({ preset: "private_chat" });
    await bob.invite(roomId, stage.pseudouser);
    const invited = (await bob.members(roomId)).find((event) => event.state_key === stage.pseudouser);
    expect(invited?.content["membership"]).toBe("invite");
  });

  it("answers the homeserver's ping", async () => {
    const response = await fetch(`${stage.ours.url}/_matrix/client/v1/appservice/emissary/ping`, {
      method: "POST",
      headers: { authorization: `Bearer ${stage.emissary.asToken}` },
      body: JSON.stringify({ transaction_id: "mid-day" }),
    });
    expect([response.status, await response.json()]).toEqual([200, { duration_ms: expect.any(Number) as number }]);
  });

  it("keeps its files to itself", () => {
    for (const path of [stage.emissary.registrationPath, stage.emissary.databasePath]) {
      expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
    }
  });

  it("never writes a token into the log", async () => {
    const { token } = await stage.emissary.addTenant("discreet");
    await fetch(`${stage.emissary.gatewayUrl}/_matrix/client/v3/account/whoami?access_token=${token}`);
    expect(stage.emissary.log).not.toContain(token);
    expect(stage.emissary.log).not.toContain(stage.emissary.asToken);
  });
});

describe("a pseudouser with a name of its own, for homeservers that refuse an empty one", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ localpart: "_server" });
  });
  afterAll(() => stage.close());

  it("is what joins, sends and stands in the member list", async () => {
    const bob = await stage.user(stage.theirs, "bob");
    const tenant = await stage.tenant("news");
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);
    await tenant.sendText(roomId, "hello");

    const seen = await bob.waitForMessage(roomId, (event) => event.content["body"] === "hello");
    expect(seen.sender).toBe(`@_server:${stage.ours.serverName}`);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, bob.userId].sort());
    expect((await stage.emissary.run("members", roomId)).stdout).toMatch(/@_server:.*a pseudouser/);
  });
});
