/**
 * Room version org.matrix.msc1777.12 through Emissary: alpha, where it is, and beta, where the rooms are, are patched Synapses
 * (homeservers/synapse-peekable). Gamma is Synapse as it is released, with an Emissary of its own.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { Emissary, type CommandResult } from "../support/emissary.ts";
import { Forger } from "../support/forged-join.ts";
import {
  describePatched,
  findPeekablePython,
  PEEKABLE_VERSION,
  startServers,
  VOUCHED_FOR_BY,
  type Servers,
} from "../support/peekable-synapse.ts";
import { LINGER_MS, until } from "../support/stage.ts";

const MSC2753 = "/_matrix/client/unstable/org.matrix.msc2753";
const REASON = "org.matrix.msc1777.reason";
/** What the resident server says of a pseudouser that nobody vouches for. */
const RESIDENTS_WORD = "The room is not peekable, and the join names no user of its server that vouches for it.";

const patched = await findPeekablePython();

describePatched("Emissary with rooms of patched servers", patched, checkEmissary);

function checkEmissary(python: string): void {
  let servers: Servers;
  let alpha: Synapse, beta: Synapse, gamma: Synapse;
  let ours: Emissary, onStock: Emissary;
  /** Of beta. */
  let bob: MatrixUser, erin: MatrixUser;
  /** Of alpha, with the gateway for their homeserver: one looks into rooms, one joins them. */
  let alice: MatrixUser, carol: MatrixUser;
  let pseudouser: string;
  let bridge: MatrixUser;
  let localparts = 0;

  beforeAll(async () => {
    const emissaries: Emissary[] = [];
    servers = await startServers(["patched", "patched", "stock"], {
      patched: python,
      prepare: async ({ dir, url, serverName }, index) => {
        if (index === 1) return null;
        const home = `${dir}-emissary`;
        await mkdir(home, { recursive: true });
        emissaries[index] = await Emissary.register({
          dir: home,
          homeserverUrl: url,
          serverName,
          settings: { attendance: { linger: `${LINGER_MS}ms` }, gateway: { front_door: true } },
        });
        return [emissaries[index].registrationPath];
      },
    });
    [alpha, beta, gamma] = servers.all as [Synapse, Synapse, Synapse];
    [ours, onStock] = [emissaries[0], emissaries[2]] as [Emissary, Emissary];
    await Promise.all([ours.start(), onStock.start()]);
    pseudouser = `@:${alpha.serverName}`;
    [bob, erin, alice, carol] = await Promise.all([
      servers.user(beta, "bob"),
      servers.user(beta, "erin"),
      gatewayUser("alice"),
      gatewayUser("carol"),
    ]);
    bridge = await tenantOf(ours, "bridge", "--actions", "read,send,create");
  });
  afterAll(async () => {
    await Promise.all([ours.end(), onStock.end()]);
    await servers.stop();
  });

  const gatewayUser = async (localpart: string): Promise<MatrixUser> => {
    const { userId, accessToken } = await alpha.registerUser(localpart);
    return new MatrixUser({ homeserverUrl: ours.gatewayUrl, userId, accessToken });
  };
  const tenantOf = async (emissary: Emissary, id: string, ...options: string[]): Promise<MatrixUser> => {
    const { token, sender } = await emissary.addTenant(id, ...options);
    return new MatrixUser({ homeserverUrl: emissary.gatewayUrl, userId: sender, accessToken: token });
  };
  /** A room of bob's, on beta. */
  const room = async (joinRule: string, more: Json = {}): Promise<string> => {
    const roomId = await bob.createRoom({
      room_version: PEEKABLE_VERSION,
      preset: "private_chat",
      name: "Lounge",
      ...more,
      initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: joinRule } }],
    });
    await bob.sendText(roomId, "hello");
    return roomId;
  };
  const close = (roomId: string): Promise<string> => {
    return bob.sendState(roomId, "m.room.join_rules", { join_rule: "invite" });
  };
  const memberOf = async (roomId: string, userId: string, seenBy = bob): Promise<Json> => {
    return (await seenBy.request("GET", stateOf(roomId, "m.room.member", userId))).body;
  };
  const untilMember = (roomId: string, userId: string, membership: string, seenBy = bob): Promise<Json> => {
    const isRight = (member: Json): boolean => member["membership"] === membership;
    return until(`${userId} ${membership}`, () => memberOf(roomId, userId, seenBy), isRight);
  };
  const via = (server: Synapse): Json & Record<string, string> => {
    return { via: server.serverName, server_name: server.serverName };
  };
  /** The answer when somebody looks into a room, as Element does. */
  const look = (who: MatrixUser, roomId: string, server = beta) => {
    return who.request("GET", `${roomPath(roomId)}/initialSync`, { ...via(server), limit: 10 });
  };
  const joinAs = (who: MatrixUser, roomId: string) => {
    return who.request("POST", `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, via(beta), {});
  };
  const command = (emissary: Emissary, name: "join" | "upgrade-check", roomId: string): Promise<CommandResult> => {
    return emissary.run("rooms", name, roomId, "--via", beta.serverName);
  };
  const explain = async (emissary: Emissary, roomId: string, holder: string) => {
    const { exitCode, stdout } = await emissary.run(
      ...["policy", "explain", roomId, "--for", holder, "--via", beta.serverName, "--json"],
    );
    const { verdict } = JSON.parse(stdout) as { verdict: { allowed: boolean; code: string; reason: string } };
    return { exitCode, ...verdict };
  };
  /** How often a server was asked for the pseudouser's join into a room, by its own log. */
  const joinsAsked = async (server: Synapse, roomId: string): Promise<number> => {
    const log = await readFile(join(server.dir, "hs.log"), "utf8");
    const lines = log.split("\n").filter((line) => /Processed request/.test(line) && line.includes(roomId.slice(1)));
    return lines.filter((line) => /(GET|POST|PUT) \S*\/(make_join|send_join|join)\//.test(line)).length;
  };
  const membersIn = (events: unknown): unknown[] => {
    return (events as Json[]).filter(({ type }) => type === "m.room.member").map((event) => event["state_key"]);
  };
  const bodies = (events: unknown): unknown[] => {
    return (events as Json[])
      .filter(({ type }) => type === "m.room.message")
      .map((event) => (event["content"] as Json)["body"]);
  };

  describe("a peekable room, where nobody of our server is", () => {
    const KINDS = ["user", "tenant:bridge", "alias", "invite", "operator"];
    let roomId: string;
    let alias: string;
    beforeAll(async () => {
      const room_alias_name = `lounge-${(localparts += 1)}`;
      alias = `#${room_alias_name}:${beta.serverName}`;
      roomId = await room("peekable", { room_alias_name });
      await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    });

    it.each(KINDS)("may be entered for every kind of wish: %s", async (kind) => {
      expect(await explain(ours, roomId, kind)).toMatchObject({ exitCode: 0, allowed: true });
    });

    it("is looked into by a user, as clients do today, with what was said before", async () => {
      const answer = await alice.request("GET", `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`);
      expect(answer.body["room_id"]).toBe(roomId);
      const peeked = await look(alice, roomId);
      expect(peeked.status).toBe(200);
      expect(membersIn(peeked.body["state"])).toEqual([bob.userId]);
      expect(bodies((await alice.messages(roomId)).chunk)).toEqual(["hello"]);
      expect(await bob.joinedMembers(roomId)).toEqual([pseudouser, bob.userId].sort());
      expect(await memberOf(roomId, pseudouser)).not.toHaveProperty([VOUCHED_FOR_BY]);
    });

    it("is read there by whoever is not in it, also from our server now, and described as peekable", async () => {
      const { userId, accessToken } = alice;
      const direct = new MatrixUser({ homeserverUrl: alpha.url, userId, accessToken });
      for (const who of [erin, direct]) expect(bodies((await who.messages(roomId)).chunk)).toEqual(["hello"]);
      const summary = await alice.roomSummary(roomId);
      const told = {
        join_rule: "peekable",
        world_readable: true,
        room_version: PEEKABLE_VERSION,
        num_joined_members: 1,
      };
      expect(summary).toMatchObject(told);
    });

    it("has a tenant in it, which talks there", async () => {
      await bridge.join(roomId, [beta.serverName]);
      const said = await bridge.sendText(roomId, "from a bridge");
      expect(await bob.waitForMessage(roomId, (event) => event.event_id === said)).toMatchObject({
        sender: pseudouser,
      });
      expect(await ours.json<Json>("rooms", "show", roomId)).toMatchObject({
        join_rule: "peekable",
        version: PEEKABLE_VERSION,
      });
    });

    it("is followed in /sync (MSC2753)", async () => {
      const other = await room("peekable");
      await peek(alice, other);
      expect(bodies((await syncOf(alice)).peek[other]?.timeline.events ?? [])).toEqual(["hello"]);
    });

    it("is joined by the operator's command, and by people as if it were public", async () => {
      const other = await room("peekable");
      expect(await command(ours, "join", other)).toMatchObject({ exitCode: 0 });
      expect((await joinAs(carol, other)).status).toBe(200);
      await erin.join(other);
      expect(await bob.joinedMembers(other)).toEqual([pseudouser, bob.userId, carol.userId, erin.userId].sort());
    });
  });

  describe("a room that is not peekable, where nobody of our server is", () => {
    it.each([
      { rule: "public", code: "join-rule", peek: "not-peekable" },
      { rule: "invite", code: "not-visible", peek: "not-visible" },
    ])("is refused by policy before anybody asks for a join, where its rule is $rule", async ({ rule, code, peek }) => {
      const roomId = await room(rule);
      for (const kind of ["tenant:bridge", "alias", "invite"]) {
        expect(await explain(ours, roomId, kind)).toMatchObject({ exitCode: 3, allowed: false, code });
      }
      expect(await explain(ours, roomId, "user")).toMatchObject({ exitCode: 3, code: peek });
      expect(await joinAs(bridge, roomId)).toMatchObject({ status: 403, body: { [REASON]: code } });
      expect(await look(alice, roomId)).toMatchObject({ status: 403, body: { [REASON]: peek } });
      for (const server of [alpha, beta]) expect(await joinsAsked(server, roomId)).toBe(0);

      // The operator's word passes policy, and not the room.
      const { exitCode, stderr } = await command(ours, "join", roomId);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(RESIDENTS_WORD) as string]);
      for (const server of [alpha, beta]) expect(await joinsAsked(server, roomId)).toBeGreaterThan(0);
      expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
    });

    it("is not looked into, also where its rule is public and its history world-readable", async () => {
      const roomId = await room("public");
      await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: "world_readable" });
      expect(await look(alice, roomId)).toMatchObject({ status: 403, body: { [REASON]: "join-rule" } });
      expect(await joinsAsked(beta, roomId)).toBe(0);
    });
  });

  describe("a room that is not peekable, where a user of our server is", () => {
    it("lets a tenant in where its rule is public, and the join names that user", async () => {
      const roomId = await room("public");
      expect((await joinAs(carol, roomId)).status).toBe(200);
      expect(await explain(ours, roomId, "tenant:bridge")).toMatchObject({ exitCode: 0 });
      await bridge.join(roomId, [beta.serverName]);
      expect(await untilMember(roomId, pseudouser, "join")).toHaveProperty([VOUCHED_FOR_BY], carol.userId);
      // That the server may take part makes nobody a reader.
      expect((await look(alice, roomId)).status).toBe(403);
    });

    it("lets users look into it where all may read it anyway", async () => {
      const roomId = await room("public");
      await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: "world_readable" });
      expect((await joinAs(carol, roomId)).status).toBe(200);
      expect(await explain(ours, roomId, "user")).toMatchObject({ exitCode: 0 });
      expect((await look(alice, roomId)).status).toBe(200);
    });

    it("lets in where its rule is invite for whoever the operator's word is for, and the join names that user", async () => {
      const roomId = await room("invite", { invite: [carol.userId] });
      expect((await joinAs(carol, roomId)).status).toBe(200);
      expect(await explain(ours, roomId, "tenant:bridge")).toMatchObject({ exitCode: 3, code: "not-visible" });
      const guest = await tenantOf(ours, "guest", "--actions", "read");
      expect(await ours.run("tenant", "allow", "guest", "--room", roomId)).toMatchObject({ exitCode: 0 });
      await guest.join(roomId, [beta.serverName]);
      expect(await untilMember(roomId, pseudouser, "join")).toHaveProperty([VOUCHED_FOR_BY], carol.userId);
      expect((await look(alice, roomId)).status).toBe(403);
    });

    it.each(["public", "invite"])(
      "lets in where its rule is %s and that user is only invited, at the operator's command",
      async (rule) => {
        const roomId = await room(rule, { invite: [carol.userId] });
        expect(await command(ours, "join", roomId)).toMatchObject({ exitCode: 0 });
        expect(await memberOf(roomId, pseudouser)).toHaveProperty([VOUCHED_FOR_BY], carol.userId);
        expect(await memberOf(roomId, carol.userId)).toMatchObject({ membership: "invite" });
      },
    );
  });

  describe("a room that is peekable no more", () => {
    it("is left by those who look into it and by tenants, and then by the pseudouser", async () => {
      const roomId = await room("peekable");
      await bridge.join(roomId, [beta.serverName]);
      await peek(alice, roomId);
      expect(await syncOf(alice)).toMatchObject({ peek: { [roomId]: {} } });
      await close(roomId);
      await until(
        "the peek's end in /sync",
        () => syncOf(alice),
        ({ leave, peek }) => leave.includes(roomId) && peek[roomId] === undefined,
      );
      await until(
        "the leases' end",
        () => ours.json<{ leases: Json[]; code: string | null; reason: string | null }>("rooms", "show", roomId),
        ({ leases, code, reason }) =>
          leases.length === 0 && ["join-rule", "not-peekable"].includes(code ?? "") && reason !== null,
      );
      expect((await bridge.request("GET", `${roomPath(roomId)}/messages`, { dir: "b" })).status).toBe(403);
      await untilMember(roomId, pseudouser, "leave");
      expect(await look(alice, roomId)).toMatchObject({
        status: 403,
        body: { [REASON]: expect.any(String) as string },
      });
    });

    it("keeps the pseudouser for a tenant as long as a user of our server is there", async () => {
      const roomId = await room("peekable");
      await bridge.join(roomId, [beta.serverName]);
      expect((await look(alice, roomId)).status).toBe(200);
      expect((await joinAs(carol, roomId)).status).toBe(200);
      // Else the two servers' changes fork the room, and the closed rule wins over the join.
      await untilMember(roomId, carol.userId, "join");
      await close(roomId);
      await until(
        "the end of looking",
        () => ours.json<{ leases: { holder: string }[]; join_rule: string }>("rooms", "show", roomId),
        ({ leases, join_rule: rule }) => rule === "invite" && leases.every(({ holder }) => holder === "tenant:bridge"),
      );
      expect((await look(alice, roomId)).status).toBe(403);
      const said = await bridge.sendText(roomId, "still here");
      await bob.waitForMessage(roomId, (event) => event.event_id === said);

      await carol.leave(roomId);
      await untilMember(roomId, pseudouser, "leave");
    });
  });

  describe("a room of a tenant's own", () => {
    it("is made peekable by initial_state, with a creator's power for the tenant", async () => {
      const roomId = await bridge.createRoom({
        room_version: PEEKABLE_VERSION,
        preset: "public_chat",
        initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "peekable" } }],
      });
      await servers.pseudouser(beta).join(roomId, [alpha.serverName]);
      await erin.join(roomId, [alpha.serverName]);
      await bridge.sendText(roomId, "welcome");
      await erin.waitForMessage(roomId, ({ content }) => content["body"] === "welcome");
      expect((await look(alice, roomId, alpha)).status).toBe(200);
      const levels = (await bridge.request("GET", stateOf(roomId, "m.room.power_levels"))).body;
      expect(levels["users"]).not.toHaveProperty([pseudouser]);
    });
  });

  describe("emissary rooms upgrade-check", () => {
    it("says of a public, world-readable room of today what would change, and that there is nothing to do", async () => {
      const roomId = await bob.createRoom({
        room_version: "11",
        preset: "public_chat",
        initial_state: [
          { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
        ],
      });
      const { exitCode, stdout } = await command(ours, "upgrade-check", roomId);
      expect(exitCode).toBe(0);
      expect(stdout).toContain("counts as peekable in today's versions");
      expect(stdout).toContain("now   version 11");
      expect(stdout).toContain("only servers that know the version can come along");
      expect(stdout).toContain("Without moving it there is nothing to do.");
    });

    it("says of a closed one what to do in its version", async () => {
      const roomId = await bob.createRoom({ room_version: "11", preset: "public_chat" });
      const { stdout } = await command(ours, "upgrade-check", roomId);
      expect(stdout).toContain("does not count as peekable");
      expect(stdout).toContain('{"history_visibility": "world_readable"}');
    });

    it("says of a peekable one that it has moved", async () => {
      const { exitCode, stdout } = await command(ours, "upgrade-check", await room("peekable"));
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining("has MSC1777's room version already")]);
    });
  });

  describe("a homeserver that does not know the version", () => {
    it("gets nobody into such a room, and Emissary there says why", async () => {
      const roomId = await room("peekable");
      const ghost = await tenantOf(onStock, "ghost", "--actions", "read,send,create");
      // The homeserver's own words are the operator's; whoever else asks has the code.
      const why = /does not support|not support/;
      expect(await joinAs(ghost, roomId)).toMatchObject({
        status: 403,
        body: { [REASON]: "M_INCOMPATIBLE_ROOM_VERSION" },
      });
      const { userId, accessToken } = await gamma.registerUser("dora");
      const dora = new MatrixUser({ homeserverUrl: onStock.gatewayUrl, userId, accessToken });
      expect(await look(dora, roomId)).toMatchObject({
        status: 403,
        body: { [REASON]: "M_INCOMPATIBLE_ROOM_VERSION" },
      });
      expect(await command(onStock, "join", roomId)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(why) as string,
      });
      const made = await ghost.request("POST", "/_matrix/client/v3/createRoom", {}, { room_version: PEEKABLE_VERSION });
      expect(made).toMatchObject({ status: 400, body: { errcode: "M_UNSUPPORTED_ROOM_VERSION" } });
      expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);

      // Its other rooms go on.
      const square = await bob.createRoom({ preset: "public_chat", room_version: "12" });
      await ghost.join(square, [beta.serverName]);
      const said = await ghost.sendText(square, "and yet");
      await bob.waitForMessage(square, (event) => event.event_id === said);
    });
  });

  describe("a join that a server makes by hand, with its real key, and a voucher that is none", () => {
    let forger: Forger;
    let mallory: string, forged: string;
    let roomId: string;
    let template: Json;
    beforeAll(async () => {
      forger = await Forger.of(gamma);
      mallory = `@mallory:${gamma.serverName}`;
      forged = `@:${gamma.serverName}`;
      roomId = await room("public", { invite: [`@invited:${alpha.serverName}`] });
      expect((await joinAs(carol, roomId)).status).toBe(200);
      await bridge.join(roomId, [beta.serverName]);
      template = await forger.template(beta, roomId, mallory);
    });
    const idsIn = async (): Promise<string[]> => {
      return [...(await bob.state(roomId)), ...(await bob.messages(roomId)).chunk].map((event) => event.event_id);
    };
    const memberEvent = async (userId: string): Promise<string> => {
      return (await bob.members(roomId)).find((event) => event.state_key === userId)?.event_id ?? "";
    };

    it.each<[string, () => unknown, (() => string) | null]>([
      ["another server's user, who is there", () => bob.userId, () => bob.userId],
      ["a user of ours, who is there", () => carol.userId, () => carol.userId],
      ["a user of its own, who is not there", () => mallory, null],
      ["itself", () => forged, null],
      ["another pseudouser, which is there", () => pseudouser, () => pseudouser],
      ["nobody", () => undefined, null],
      ["a list", () => [mallory], null],
      ["one that its auth events do not have", () => carol.userId, null],
    ])("is refused, and changes nothing: %s", async (_what, voucher, selected) => {
      const before = await idsIn();
      const named = voucher();
      const answer = await forger.send(beta, template, {
        userId: forged,
        content: { membership: "join", ...(named === undefined ? {} : { [VOUCHED_FOR_BY]: named }) },
        authEvents: selected === null ? [] : [await memberEvent(selected())],
      });
      expect([answer.status, answer.body["errcode"]]).toEqual([403, "M_FORBIDDEN"]);
      expect(await idsIn()).toEqual(before);
      expect((await bob.request("GET", stateOf(roomId, "m.room.member", forged))).status).toBe(404);
    });

    it("is taken with a voucher who is there, and refused with the same one who has left", async () => {
      const person = { userId: mallory, content: { membership: "join" } };
      expect((await forger.send(beta, template, person)).status).toBe(200);
      const joined = await memberEvent(mallory);
      const content = { membership: "join", [VOUCHED_FOR_BY]: mallory };
      const pseudo = { userId: forged, content, authEvents: [joined] };
      const next = (): Promise<Json> => forger.template(beta, roomId, `@mia:${gamma.serverName}`);
      expect((await forger.send(beta, await next(), pseudo)).status).toBe(200);
      expect(await memberOf(roomId, forged)).toMatchObject(content);
      await untilMember(roomId, forged, "join", carol);

      await bob.kick(roomId, forged);
      await bob.kick(roomId, mallory);
      const authEvents = [await memberEvent(mallory), await memberEvent(forged)];
      expect(await forger.send(beta, await next(), { ...pseudo, authEvents })).toMatchObject({
        status: 403,
        body: { errcode: "M_FORBIDDEN" },
      });
      expect(await memberOf(roomId, forged)).toMatchObject({ membership: "leave" });
    });
  });

  describe("an invite, where Emissary is told of invites and takes part", () => {
    beforeAll(async () => {
      await ours.end();
      const registered = await ours.runBare(["register", "--dir", ours.dir, "--force", "--watch-invites"]);
      expect(registered).toMatchObject({ exitCode: 0 });
      ours.configure({ invites: { take_part: true, joins_per_inviter: "10/1h" } });
      await alpha.restart();
      await ours.start();
    });

    it.each(["peekable", "public", "invite"])(
      "brings the server into a room whose rule is %s before its user accepts, whom the join names",
      async (rule) => {
        const roomId = await room(rule, { invite: [carol.userId] });
        expect(await untilMember(roomId, pseudouser, "join")).toHaveProperty([VOUCHED_FOR_BY], carol.userId);
        expect(await memberOf(roomId, carol.userId)).toMatchObject({ membership: "invite" });
        expect(await ours.json<Json>("rooms", "show", roomId)).toMatchObject({
          leases: [{ holder: `invite:${carol.userId}` }],
        });
        expect((await joinAs(carol, roomId)).status).toBe(200);
        await bob.sendText(roomId, "welcome");
        await carol.waitForMessage(roomId, ({ content }) => content["body"] === "welcome");
        await untilMember(roomId, pseudouser, "leave");
      },
    );

    it("that is declined has the server leave", async () => {
      const roomId = await room("invite", { invite: [carol.userId] });
      await untilMember(roomId, pseudouser, "join");
      await carol.leave(roomId);
      await untilMember(roomId, pseudouser, "leave");
    });

    it("lets tenants in, too, where the room's rule is public", async () => {
      ours.configure({ invites: { take_part: false } });
      await ours.end();
      await ours.start();
      const roomId = await room("public", { invite: [carol.userId] });
      await until(
        "the invite being known",
        () => explain(ours, roomId, "tenant:bridge"),
        ({ allowed }) => allowed,
      );
      await bridge.join(roomId, [beta.serverName]);
      expect(await untilMember(roomId, pseudouser, "join")).toHaveProperty([VOUCHED_FOR_BY], carol.userId);
    });
  });

  const peek = async (who: MatrixUser, roomId: string): Promise<void> => {
    const body = { servers: [beta.serverName] };
    const answer = await who.request("POST", `${MSC2753}/peek/${encodeURIComponent(roomId)}`, {}, body);
    expect(answer).toMatchObject({ status: 200, body: { room_id: roomId } });
  };
}

type PeekedRooms = Readonly<Record<string, { timeline: { events: Json[] } } | undefined>>;

/** What a sync tells from the last one on. */
let since: string | undefined;
async function syncOf(who: MatrixUser): Promise<{ readonly peek: PeekedRooms; readonly leave: string[] }> {
  const { status, body } = await who.request("GET", "/_matrix/client/v3/sync", { timeout: 0, since });
  expect(status).toBe(200);
  since = body["next_batch"] as string;
  const { peek = {}, leave = {} } = (body["rooms"] ?? {}) as { peek?: PeekedRooms; leave?: Json };
  return { peek, leave: Object.keys(leave) };
}

function roomPath(roomId: string): string {
  return `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
}

function stateOf(roomId: string, type: string, stateKey = ""): string {
  return `${roomPath(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`;
}
