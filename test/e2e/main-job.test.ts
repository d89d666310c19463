import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { journalEvents, rows } from "../support/database.ts";
import { LINGER_MS, openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let bob: MatrixUser;
let tenant: MatrixUser;

beforeAll(async () => {
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  tenant = await stage.tenant("news");
});
afterAll(() => stage.close());

/** Users of our server that the other server's room has, in whatever membership. */
async function oursIn(roomId: string): Promise<string[]> {
  const members = await bob.members(roomId);
  return members
    .map((event) => event.state_key ?? "")
    .filter((userId) => userId.endsWith(`:${stage.ours.serverName}`))
    .sort();
}

describe.each(["12", "10"])("a room of version %s on another server", (version) => {
  it.each([
    ["by its alias", true],
    ["by its ID, with a server to reach it through", false],
  ])("is attended when a tenant joins it %s", async (_how, byAlias) => {
    const alias = `room-${version}-${String(byAlias)}`;
    const roomId = await bob.createRoom({ preset: "public_chat", room_version: version, room_alias_name: alias });
    const theirs = stage.theirs.serverName;

    const joined = byAlias ? await tenant.join(`#${alias}:${theirs}`) : await tenant.join(roomId, [theirs]);

    expect(joined).toBe(roomId);
    expect(await tenant.joinedRooms()).toContain(roomId);
    expect(await oursIn(roomId)).toEqual([stage.pseudouser]);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, bob.userId].sort());
  });

  it("carries a tenant's message to its users, and theirs into the journal", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_version: version });
    await tenant.join(roomId, [stage.theirs.serverName]);

    const sent = await tenant.sendText(roomId, "good morning");
    const seen = await bob.waitForMessage(roomId, (event) => event.content["body"] === "good morning");
    expect(seen.event_id).toBe(sent);
    expect(seen.sender).toBe(stage.pseudouser);
    expect(seen.content["org.matrix.msc1777.on_behalf_of"]).toBe("news");

    const answer = await bob.sendText(roomId, "good night");
    await until(
      "the answer in the journal",
      async () => journalEvents(stage.emissary.databasePath).filter((event) => event.event_id === answer),
      (found) => found.length === 1 && found[0]?.sender === bob.userId && found[0].content["body"] === "good night",
    );
    expect(await oursIn(roomId)).toEqual([stage.pseudouser]);
  });

  it("is left again after its last lease, and not before", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_version: version });
    const second = await stage.tenant(`second-${version}`);
    await tenant.join(roomId, [stage.theirs.serverName]);
    await second.join(roomId, [stage.theirs.serverName]);

    await tenant.leave(roomId);
    await new Promise((resolve) => setTimeout(resolve, LINGER_MS + 1_000));
    expect(await bob.joinedMembers(roomId)).toContain(stage.pseudouser);
    expect(await tenant.joinedRooms()).not.toContain(roomId);
    expect(await second.joinedRooms()).toEqual([roomId]);

    await second.leave(roomId);
    await until(
      "the other server's members",
      () => bob.joinedMembers(roomId),
      (members) => !members.includes(stage.pseudouser),
    );
    const [room] = await until(
      "the ledger",
      async () =>
        rows<{ own_membership: string; load: string }>(
          stage.emissary.databasePath,
          "SELECT own_membership, load FROM rooms WHERE room_id = ?",
          roomId,
        ),
      ([row]) => row?.own_membership === "leave" && row.load === "none",
    );
    expect(room).toEqual({ own_membership: "leave", load: "none" });
  });
});

describe("a tenant", () => {
  it("sees its own rooms only, though the pseudouser is in others", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const stranger = await stage.tenant("stranger");
    await tenant.join(roomId, [stage.theirs.serverName]);

    expect(await stranger.joinedRooms()).toEqual([]);
    for (const path of ["messages", "state", "members", "joined_members"]) {
      const { status, body } = await stranger.request("GET", `/_matrix/client/v3/rooms/${roomId}/${path}`);
      expect([path, status, body["errcode"]]).toEqual([path, 403, "M_FORBIDDEN"]);
    }
    await expect(stranger.sendText(roomId, "let me in")).rejects.toMatchObject({ status: 403 });
  });

  it("reads the room's history, state and members from the homeserver", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", name: "Reading room" });
    const earlier = await bob.sendText(roomId, "before you came");
    await tenant.join(roomId, [stage.theirs.serverName]);

    const { chunk } = await tenant.messages(roomId);
    expect(chunk.map((event) => event.event_id)).toContain(earlier);
    expect((await tenant.event(roomId, earlier)).content["body"]).toBe("before you came");
    expect((await tenant.state(roomId)).find((event) => event.type === "m.room.name")?.content["name"]).toBe(
      "Reading room",
    );
    // The pseudouser stands for many; in its place a tenant finds its own users.
    expect(await tenant.joinedMembers(roomId)).toEqual([`@_emissary_news:${stage.ours.serverName}`, bob.userId].sort());
  });

  it("redacts what it sent, and nothing of another tenant's", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const other = await stage.tenant("other");
    await tenant.join(roomId, [stage.theirs.serverName]);
    await other.join(roomId, [stage.theirs.serverName]);
    const mine = await tenant.sendText(roomId, "mine");
    const redact = (by: MatrixUser, event: string, txn: string): Promise<{ status: number }> =>
      by.request("PUT", `/_matrix/client/v3/rooms/${roomId}/redact/${encodeURIComponent(event)}/${txn}`, {}, {});

    expect((await redact(other, mine, "1")).status).toBe(403);
    const edit = other.sendEvent(roomId, "m.room.message", {
      msgtype: "m.text",
      body: "* forged",
      "m.new_content": { msgtype: "m.text", body: "forged" },
      "m.relates_to": { rel_type: "m.replace", event_id: mine },
    });
    await expect(edit).rejects.toMatchObject({ status: 403 });
    expect((await redact(tenant, mine, "1")).status).toBe(200);
    await until(
      "the redaction over there",
      () => bob.event(roomId, mine),
      (event) => event.content["body"] === undefined,
    );
  });

  it("cannot send in the clear into an encrypted room", async () => {
    const roomId = await bob.createRoom({
      preset: "public_chat",
      initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    });
    await tenant.join(roomId, [stage.theirs.serverName]);
    await expect(tenant.sendText(roomId, "psst")).rejects.toMatchObject({ status: 403, errcode: "M_FORBIDDEN" });
    const { chunk } = await bob.messages(roomId);
    expect(chunk.filter((event) => event.sender === stage.pseudouser && event.type === "m.room.message")).toEqual([]);
  });
});
