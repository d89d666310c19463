import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MatrixUser } from "../../homeservers/synapse/client.ts";
import { rows } from "../support/database.ts";
import type { CommandResult } from "../support/emissary.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let alice: MatrixUser;
let bob: MatrixUser;
let tenant: MatrixUser;

beforeAll(async () => {
  stage = await openStage();
  alice = await stage.user(stage.ours, "alice");
  bob = await stage.user(stage.theirs, "bob");
  tenant = await stage.tenant("news");
});
afterAll(() => stage.close());

interface Shown {
  readonly phase: string;
  readonly code: string | null;
  readonly reason: string | null;
  readonly own_membership: string;
  readonly leases: readonly { readonly holder: string }[];
}

const show = (roomId: string): Promise<Shown> => stage.emissary.json<Shown>("rooms", "show", roomId);

describe("a moderator of the other server", () => {
  it("kicks the pseudouser: the leases end with that reason, and it does not come back by itself", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);

    await bob.kick(roomId, stage.pseudouser, "not now");

    const shown = await until(
      "the room",
      () => show(roomId),
      (room) => room.code === "kicked",
    );
    expect(shown).toMatchObject({ phase: "refused", own_membership: "leave", leases: [] });
    expect(shown.reason).toContain(bob.userId);
    await expect(tenant.sendText(roomId, "still here?")).rejects.toMatchObject({
      status: 403,
      body: { "org.matrix.msc1777.reason": "kicked" },
    });
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
  });

  it("bans it: a tenant that asks again is told so, and that there is no use in asking for a while", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);

    await bob.ban(roomId, stage.pseudouser);

    await until(
      "the room",
      () => show(roomId),
      (room) => room.code === "banned" && room.leases.length === 0,
    );
    await expect(tenant.join(roomId, [stage.theirs.serverName])).rejects.toMatchObject({
      status: 403,
      body: { "org.matrix.msc1777.reason": "put-out", error: "This room is kept away from for a while." },
    });
  });

  it("upgrades the room: the tenant goes along into the new one, and the old one is left", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_version: "10" });
    await tenant.join(roomId, [stage.theirs.serverName]);

    const upgraded = await bob.request("POST", `/_matrix/client/v3/rooms/${roomId}/upgrade`, {}, { new_version: "12" });
    const replacement = upgraded.body["replacement_room"] as string;

    await until(
      "the tenant's rooms",
      () => tenant.joinedRooms(),
      (joined) => joined.includes(replacement),
    );
    expect(await bob.joinedMembers(replacement)).toEqual([stage.pseudouser, bob.userId].sort());
    await until(
      "the old room's members",
      () => bob.joinedMembers(roomId),
      (members) => !members.includes(stage.pseudouser),
    );
  });

  it("keeps our server out by an access list: once that is lifted, the tenant is in the room again at once", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);
    const shown = await until(
      "the room",
      () => stage.emissary.json<Shown & { load: string }>("rooms", "show", roomId),
      (room) => room.load === "loaded",
    );
    expect(shown.phase).toBe("present");

    await bob.sendState(roomId, "m.room.server_acl", { allow: ["*"], deny: [stage.ours.serverName.split(":")[0]] });
    await until(
      "the room",
      () => show(roomId),
      (room) => room.code === "server-acl" && room.own_membership === "leave",
    );
    await expect(tenant.join(roomId, [stage.theirs.serverName])).rejects.toMatchObject({
      status: 403,
      body: { "org.matrix.msc1777.reason": "server-acl", error: "The room keeps this server out." },
    });

    await bob.sendState(roomId, "m.room.server_acl", { allow: ["*"], deny: [] });
    expect(await tenant.join(roomId, [stage.theirs.serverName])).toBe(roomId);
    await tenant.sendText(roomId, "back");
  });
});

describe("somebody at our own homeserver", () => {
  const untilWithdrawn = async (roomId: string): Promise<void> => {
    const shown = await until(
      "the room",
      () => show(roomId),
      (room) => room.code === "withdrawn",
    );
    expect(shown).toMatchObject({ phase: "refused", own_membership: "leave", leases: [] });
    await expect(tenant.join(roomId, [stage.theirs.serverName])).rejects.toMatchObject({
      status: 403,
      body: { "org.matrix.msc1777.reason": "put-out" },
    });
    const { joined_rooms: rooms } = await stage.askAsPseudouser<{ joined_rooms: string[] }>(
      "/_matrix/client/v3/joined_rooms",
    );
    expect(rooms).not.toContain(roomId);
  };

  let root: MatrixUser;
  beforeAll(async () => {
    const account = await stage.ours.registerUser("root", { admin: true });
    root = new MatrixUser({ homeserverUrl: stage.ours.url, ...account });
  });

  it.each([true, false])(
    "deletes a room (purge: %s): that comes to its end, the lease ends with the reason, and the pseudouser does not come back",
    async (purge) => {
      const roomId = await bob.createRoom({ preset: "public_chat" });
      await tenant.join(roomId, [stage.theirs.serverName]);
      await bob.sendText(roomId, "hello");

      const path = `/_synapse/admin/v2/rooms/${encodeURIComponent(roomId)}`;
      const { status, body } = await root.request("DELETE", path, {}, { purge, block: false });
      expect(status).toBe(200);
      const deletion = await until(
        "the deletion",
        async () =>
          (await root.request("GET", `/_synapse/admin/v2/rooms/delete_status/${String(body["delete_id"])}`)).body,
        (told) => told["status"] === "complete" || told["status"] === "failed",
      );
      expect(deletion).toMatchObject({ status: "complete", shutdown_room: { failed_to_kick_users: [] } });
      await untilWithdrawn(roomId);
      await until(
        "the other server's members",
        () => bob.joinedMembers(roomId),
        (members) => !members.includes(stage.pseudouser),
      );
    },
  );

  it("leaves with the pseudouser's token: the same", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);
    const { asToken: accessToken } = stage.emissary;
    const hand = new MatrixUser({ homeserverUrl: stage.ours.url, userId: stage.pseudouser, accessToken });
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/leave`;
    expect(await hand.request("POST", path, { user_id: stage.pseudouser }, {})).toMatchObject({ status: 200 });
    await untilWithdrawn(roomId);
  });
});

describe("a tombstone", () => {
  const say = (roomId: string): Promise<unknown> => bob.sendText(roomId, "the plan");
  const may = (roomId: string): Promise<CommandResult> =>
    stage.emissary.run("tenant", "allow", "news", "--room", roomId, "--action", "read,send,redact,room-state");

  it("to another tenant's private room opens nothing of it, though the pseudouser is there", async () => {
    const [open, secret] = [
      await bob.createRoom({ preset: "public_chat" }),
      await bob.createRoom({ preset: "private_chat" }),
    ];
    const stranger = await stage.tenant("stranger", "--actions", "read,send,redact,room-state");
    await stranger.join(open, [stage.theirs.serverName]);
    await may(secret);
    await bob.invite(secret, stage.pseudouser);
    await tenant.join(secret, [stage.theirs.serverName]);
    await say(secret);

    await bob.sendState(open, "m.room.tombstone", { body: "", replacement_room: secret });

    await until(
      "the refusal",
      () => codesIn(secret),
      (codes) => codes.includes("no-predecessor"),
    );
    expect(await stranger.joinedRooms()).toEqual([open]);
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(secret)}`;
    expect((await stranger.request("GET", `${path}/messages`, { dir: "b" })).status).toBe(403);
    await expect(stranger.sendText(secret, "hello")).rejects.toMatchObject({ status: 403 });
    await expect(stranger.sendState(secret, "m.room.topic", { topic: "mine" })).rejects.toMatchObject({ status: 403 });
    await stranger.sendText(open, "still here");
    await tenant.sendText(secret, "undisturbed");
    expect((await show(secret)).leases.map(({ holder }) => holder)).toEqual(["tenant:news"]);
  });

  it("of a private room that is upgraded from version 11 to 12 brings its tenant along, once the pseudouser is invited again", async () => {
    const old = await bob.createRoom({ preset: "private_chat", room_version: "11" });
    await may(old);
    await bob.invite(old, stage.pseudouser);
    await tenant.join(old, [stage.theirs.serverName]);

    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(old)}/upgrade`;
    const { body } = await bob.request("POST", path, {}, { new_version: "12" });
    const replacement = body["replacement_room"] as string;
    await bob.invite(replacement, stage.pseudouser);

    await until(
      "the tenant's rooms",
      () => tenant.joinedRooms(),
      (joined) => joined.includes(replacement) && !joined.includes(old),
    );
    await say(replacement);
    await until(
      "what is said there",
      () => tenant.messages(replacement),
      (read) => JSON.stringify(read).includes("the plan"),
    );
    await tenant.sendText(replacement, "here");
    const shown = await stage.emissary.run("tenant", "show", "news");
    expect(shown.stdout).toContain(`read, send, redact, room-state in ${replacement}, which replaced a room`);
    await until(
      "the old room's members",
      () => bob.joinedMembers(old),
      (members) => !members.includes(stage.pseudouser),
    );
  });
});

async function codesIn(roomId: string): Promise<string[]> {
  return rows<{ outcome: string }>(
    stage.emissary.databasePath,
    "SELECT outcome FROM audit WHERE action = 'lease.take' AND room_id = ?",
    roomId,
  ).map(({ outcome }) => outcome);
}

describe("a private room", () => {
  it("is refused to a tenant by policy, which says why, and nothing is joined", async () => {
    const roomId = await bob.createRoom({ preset: "private_chat" });
    await expect(tenant.join(roomId, [stage.theirs.serverName])).rejects.toMatchObject({
      status: 403,
      body: { "org.matrix.msc1777.reason": "not-visible", "org.matrix.msc1777.code": "refused-by-policy" },
    });
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
  });

  it("is refused to the uninvited pseudouser by the homeserver, whatever the operator says", async () => {
    const roomId = await bob.createRoom({ preset: "private_chat" });
    const joined = await stage.emissary.run("rooms", "join", roomId, "--via", stage.theirs.serverName);
    expect(joined.exitCode).toBe(1);
    expect(joined.stderr).toMatch(/not in !.*: .*invited/i);
  });

  it("is entered with the operator's word once the pseudouser is invited", async () => {
    const roomId = await bob.createRoom({ preset: "private_chat" });
    await stage.emissary.run("policy", "allow", "room", roomId);
    await bob.invite(roomId, stage.pseudouser);
    const joined = await stage.emissary.run("rooms", "join", roomId, "--via", stage.theirs.serverName);
    expect([joined.exitCode, joined.stderr]).toEqual([0, ""]);
    expect(await bob.joinedMembers(roomId)).toContain(stage.pseudouser);
  });
});

describe("an invite to the pseudouser", () => {
  it("causes no join, and is declined", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await bob.invite(roomId, stage.pseudouser);
    await until(
      "the ledger",
      async () =>
        rows<{ own_membership: string }>(
          stage.emissary.databasePath,
          "SELECT own_membership FROM rooms WHERE room_id = ?",
          roomId,
        ),
      ([room]) => room?.own_membership === "leave",
    );
    await until(
      "nothing left to do in the room",
      async () =>
        rows(
          stage.emissary.databasePath,
          "SELECT 1 FROM attendance a JOIN rooms r ON r.nr = a.room_nr WHERE r.room_id = ? AND a.next_at IS NOT NULL",
          roomId,
        ),
      (pending) => pending.length === 0,
    );
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
  });
});

describe("a room where the pseudouser has power", () => {
  it.each(["10", "12"])(
    "of version %s: it lists itself as no person (MSC4171), beside whoever is listed",
    async (version) => {
      const users = { [stage.pseudouser]: 50, ...(version === "10" ? { [bob.userId]: 100 } : {}) };
      const roomId = await bob.createRoom({
        preset: "public_chat",
        room_version: version,
        power_level_content_override: { users },
      });
      const path = `/_matrix/client/v3/rooms/${roomId}/state/io.element.functional_members`;
      await bob.request("PUT", path, {}, { service_members: ["@bot:example.org"] });
      await tenant.join(roomId, [stage.theirs.serverName]);
      await until(
        "those listed",
        async () => (await bob.request("GET", path)).body["service_members"],
        (listed) => Array.isArray(listed) && listed.includes(stage.pseudouser),
      );
      expect((await bob.request("GET", path)).body).toEqual({
        service_members: ["@bot:example.org", stage.pseudouser],
      });
      await tenant.leave(roomId);
    },
  );

  it("that gives it none: it tries nothing", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await tenant.join(roomId, [stage.theirs.serverName]);
    await until(
      "the room being loaded",
      () => stage.emissary.json<{ load: string }>("rooms", "show", roomId),
      ({ load }) => load === "loaded",
    );
    const audit = await stage.emissary.json<{ action: string; room_id: string }[]>("audit");
    expect(audit.filter(({ room_id }) => room_id === roomId).map(({ action }) => action)).not.toContain(
      "room.functional-member",
    );
  });
});

describe("many at once", () => {
  it("cause one join", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const tenants = await Promise.all(Array.from({ length: 5 }, (_, index) => stage.tenant(`one-of-many-${index}`)));
    const asks = tenants.flatMap((one) => Array.from({ length: 8 }, () => one.join(roomId, [stage.theirs.serverName])));
    expect(new Set(await Promise.all(asks))).toEqual(new Set([roomId]));

    const joins = (await bob.messages(roomId, "b", 100)).chunk.filter(
      (event) => event.type === "m.room.member" && event.state_key === stage.pseudouser,
    );
    expect(joins).toHaveLength(1);
  });
});

describe("our own server's room", () => {
  it("is attended and left like any other", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name: "home" });
    await tenant.join(`#home:${stage.ours.serverName}`);
    expect(await alice.joinedMembers(roomId)).toEqual([stage.pseudouser, alice.userId].sort());
    await tenant.leave(roomId);
    await until(
      "its members",
      () => alice.joinedMembers(roomId),
      (members) => !members.includes(stage.pseudouser),
    );
  });
});

describe("the operator", () => {
  it("sees rooms, members, tenants and what was done, and holds a room with a lease of their own", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", name: "Square", room_alias_name: "square" });
    const alias = `#square:${stage.theirs.serverName}`;
    expect((await stage.emissary.run("rooms", "join", alias)).exitCode).toBe(0);

    const listed = await stage.emissary.json<{ room_id: string; name: string }[]>("rooms", "list");
    expect(listed.find((room) => room.room_id === roomId)?.name).toBe("Square");
    expect((await show(alias)).leases.map(({ holder }) => holder)).toEqual(["operator"]);
    const members = await stage.emissary.run("members", roomId);
    expect(members.stdout).toContain(bob.userId);
    expect(members.stdout).toContain("a pseudouser");
    const audit = await stage.emissary.json<{ action: string; room_id: string }[]>("audit");
    const deeds = audit.filter((row) => row.room_id === roomId).map((row) => row.action);
    expect(deeds).toEqual(["room.join", "lease.take"]);

    expect((await stage.emissary.run("rooms", "leave", roomId)).exitCode).toBe(0);
    await until(
      "the other server's members",
      () => bob.joinedMembers(roomId),
      (joined) => !joined.includes(stage.pseudouser),
    );
  });

  it("takes a tenant's token away, and the tenant with its leases", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const passing = await stage.tenant("passing");
    await passing.join(roomId, [stage.theirs.serverName]);

    expect((await stage.emissary.run("tenant", "rotate", "passing")).exitCode).toBe(0);
    await expect(passing.joinedRooms()).rejects.toMatchObject({ status: 401, errcode: "M_UNKNOWN_TOKEN" });
    expect((await stage.emissary.run("tenant", "remove", "passing")).exitCode).toBe(0);
    await until(
      "the other server's members",
      () => bob.joinedMembers(roomId),
      (joined) => !joined.includes(stage.pseudouser),
    );
  });
});

// The last: nothing more is to be had of this pseudouser.
describe("an administrator who deactivates the pseudouser", () => {
  it("has it out of every room: the leases there end with the reason, and it goes nowhere by itself", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const late = await stage.tenant("late");
    await late.join(roomId, [stage.theirs.serverName]);
    const account = await stage.ours.registerUser("superuser", { admin: true });
    const root = new MatrixUser({ homeserverUrl: stage.ours.url, ...account });
    const path = `/_synapse/admin/v1/deactivate/${encodeURIComponent(stage.pseudouser)}`;
    expect(await root.request("POST", path, {}, { erase: false })).toMatchObject({ status: 200 });
    const shown = await until(
      "the room",
      () => show(roomId),
      (room) => room.code === "withdrawn",
      30_000,
    );
    expect(shown).toMatchObject({ own_membership: "leave", leases: [] });
    const left = await until(
      "the leases",
      async () =>
        rows<{ room_id: string }>(
          stage.emissary.databasePath,
          "SELECT room_id FROM leases JOIN rooms ON nr = room_nr WHERE ended_at IS NULL",
        ),
      (leases) => leases.length === 0,
      30_000,
    );
    expect(left).toEqual([]);
  });
});
