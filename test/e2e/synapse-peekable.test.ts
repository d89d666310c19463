/**
 * Room version org.matrix.msc1777.12 on real servers, without Emissary: alpha and beta are patched (homeservers/synapse-peekable),
 * gamma is Synapse as it is released. Each server's pseudouser acts with its own token.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json, MatrixUser, RoomEvent } from "../../homeservers/synapse/client.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import {
  describePatched,
  findPeekablePython,
  PEEKABLE_VERSION,
  startServers,
  VOUCHED_FOR_BY,
  type Servers,
} from "../support/peekable-synapse.ts";
import { until } from "../support/stage.ts";

const patched = await findPeekablePython();

describePatched("rooms of patched servers", patched, checkRooms);

function checkRooms(python: string): void {
  let servers: Servers;
  let alpha: Synapse, beta: Synapse, gamma: Synapse;
  /** Of alpha, alpha, beta, beta and gamma. */
  let alice: MatrixUser, carol: MatrixUser, bob: MatrixUser, erin: MatrixUser, dave: MatrixUser;
  let pseudo: { readonly alpha: MatrixUser; readonly beta: MatrixUser; readonly gamma: MatrixUser };

  beforeAll(async () => {
    servers = await startServers(["patched", "patched", "stock"], {
      patched: python,
      settings: {
        room_list_publication_rules: [{ action: "allow" }],
        federation: {
          destination_min_retry_interval: 500,
          destination_max_retry_interval: 1_000,
          max_long_retries: 0,
        },
      },
    });
    [alpha, beta, gamma] = servers.all as [Synapse, Synapse, Synapse];
    [alice, carol, bob, erin, dave] = await Promise.all([
      servers.user(alpha, "alice"),
      servers.user(alpha, "carol"),
      servers.user(beta, "bob"),
      servers.user(beta, "erin"),
      servers.user(gamma, "dave"),
    ]);
    pseudo = {
      alpha: servers.pseudouser(alpha),
      beta: servers.pseudouser(beta),
      gamma: servers.pseudouser(gamma),
    };
  });
  afterAll(() => servers.stop());

  /** A room of bob's, on beta. */
  const room = (joinRule: string | Json, more: Json = {}): Promise<string> => {
    const content = typeof joinRule === "string" ? { join_rule: joinRule } : joinRule;
    return bob.createRoom({
      room_version: PEEKABLE_VERSION,
      preset: "private_chat",
      ...more,
      initial_state: [{ type: "m.room.join_rules", state_key: "", content }],
    });
  };
  /** The answer's status when somebody joins through beta. */
  const join = async (who: MatrixUser, roomId: string): Promise<number> => {
    const query = { via: beta.serverName, server_name: beta.serverName };
    return (await who.request("POST", `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, query, {})).status;
  };
  const membership = async (roomId: string, user: MatrixUser, seenBy: MatrixUser = bob): Promise<Json> => {
    const { body } = await seenBy.request("GET", stateOf(roomId, "m.room.member", user.userId));
    return body;
  };

  describe.each([
    { rule: "peekable", alone: 200, others: 200 },
    { rule: "public", alone: 403, others: 200 },
    { rule: "invite", alone: 403, others: 403 },
    { rule: "knock", alone: 403, others: 403 },
    { rule: "restricted", alone: 403, others: 403 },
    { rule: "knock_restricted", alone: 403, others: 403 },
  ])("a room whose join rule is $rule", ({ rule, alone, others }) => {
    const content = async (): Promise<Json> => {
      if (!rule.endsWith("restricted")) return { join_rule: rule };
      return { join_rule: rule, allow: [{ type: "m.room_membership", room_id: await room("invite") }] };
    };

    it(`answers ${alone} when a pseudouser joins and nobody of its server is there`, async () => {
      const roomId = await room(await content());
      expect(await join(pseudo.alpha, roomId)).toBe(alone);
    });

    it("lets it in by federation when a user of its server is invited, whom the join names", async () => {
      const roomId = await room(await content(), { invite: [alice.userId] });
      expect(await join(pseudo.alpha, roomId)).toBe(200);
      expect(await membership(roomId, pseudo.alpha)).toMatchObject({
        membership: "join",
        [VOUCHED_FOR_BY]: alice.userId,
      });
      expect(await join(carol, roomId)).toBe(others);
    });

    it("lets it in on its own server when a user of it has joined, whom the join names", async () => {
      const roomId = await room(await content(), { invite: [alice.userId] });
      expect(await join(alice, roomId)).toBe(200);
      expect(await join(pseudo.alpha, roomId)).toBe(200);
      await until(
        "the pseudouser's join on beta",
        () => membership(roomId, pseudo.alpha),
        (member) => member["membership"] === "join",
      );
      expect(await membership(roomId, pseudo.alpha)).toHaveProperty([VOUCHED_FOR_BY], alice.userId);
    });

    it("lets it in when it is invited itself", async () => {
      const roomId = await room(await content());
      await bob.invite(roomId, pseudo.alpha.userId);
      expect(await join(pseudo.alpha, roomId)).toBe(200);
    });

    it("keeps it out once it is banned, whoever is there", async () => {
      const roomId = await room(await content(), { invite: [alice.userId] });
      await bob.ban(roomId, pseudo.alpha.userId);
      expect(await join(pseudo.alpha, roomId)).toBe(403);
    });
  });

  describe("the voucher", () => {
    it("is one who has joined before one who is invited, and then the first by ID", async () => {
      const roomId = await room("invite", { invite: [alice.userId, carol.userId] });
      expect(await join(carol, roomId)).toBe(200);
      expect(await join(pseudo.alpha, roomId)).toBe(200);
      expect(await membership(roomId, pseudo.alpha, carol)).toHaveProperty([VOUCHED_FOR_BY], carol.userId);

      const both = await room("invite", { invite: [alice.userId, carol.userId] });
      expect(await join(pseudo.alpha, both)).toBe(200);
      expect(await membership(both, pseudo.alpha)).toHaveProperty([VOUCHED_FOR_BY], alice.userId);
    });

    it("is of the pseudouser's own server: another server's users vouch for theirs only", async () => {
      const roomId = await room("invite");
      expect(await join(pseudo.beta, roomId)).toBe(200);
      expect(await membership(roomId, pseudo.beta)).toHaveProperty([VOUCHED_FOR_BY], bob.userId);
      expect(await join(pseudo.alpha, roomId)).toBe(403);
    });

    it("is found by the server, whatever a client names", async () => {
      const roomId = await room("public");
      const at = stateOf(roomId, "m.room.member", pseudo.beta.userId);
      for (const named of [alice.userId, pseudo.beta.userId, "", "bob", 5, null, [bob.userId], { a: 1 }]) {
        const content = { membership: "join", [VOUCHED_FOR_BY]: named };
        expect((await pseudo.beta.request("PUT", at, {}, content)).status).toBe(200);
        expect(await membership(roomId, pseudo.beta)).toHaveProperty([VOUCHED_FOR_BY], bob.userId);
        await pseudo.beta.leave(roomId);
      }
    });

    it("who has left vouches no more", async () => {
      const roomId = await room("public");
      expect(await join(alice, roomId)).toBe(200);
      await alice.leave(roomId);
      await until(
        "alice's leave on beta",
        () => membership(roomId, alice),
        (member) => member["membership"] === "leave",
      );
      expect(await join(pseudo.alpha, roomId)).toBe(403);
    });
  });

  describe("a vouched-for join", () => {
    it("stands when state is resolved after a change of the rule, its redaction, and a restart of both servers", async () => {
      const roomId = await room("peekable");
      expect(await join(alice, roomId)).toBe(200);
      expect(await join(carol, roomId)).toBe(200);
      await bob.invite(roomId, erin.userId);

      // Neither server hears of the other's change before it has made its own.
      await beta.kill();
      expect(await join(pseudo.alpha, roomId)).toBe(200);
      await alpha.kill();
      await beta.restart();
      await bob.sendState(roomId, "m.room.join_rules", { join_rule: "invite" });
      await alpha.restart();
      const everywhere = async (): Promise<unknown[]> => [
        (await membership(roomId, pseudo.alpha, bob))["membership"],
        (await membership(roomId, pseudo.alpha, alice))["membership"],
        (await alice.request("GET", stateOf(roomId, "m.room.join_rules"))).body["join_rule"],
      ];
      // Servers look for one that was away when they have something to say.
      const afterSomeTalk = async (): Promise<unknown[]> => {
        await Promise.all([alice.sendText(roomId, "hello?"), bob.sendText(roomId, "hello?")]);
        return everywhere();
      };
      await until(
        "the pseudouser on both servers",
        afterSomeTalk,
        (answer) => {
          return JSON.stringify(answer) === JSON.stringify(["join", "join", "invite"]);
        },
        60_000,
      );

      const joined = (await bob.state(roomId)).find((event) => event.state_key === pseudo.alpha.userId);
      const redact = `${roomPath(roomId)}/redact/${encodeURIComponent(joined?.event_id ?? "")}/1`;
      expect((await bob.request("PUT", redact, {}, {})).status).toBe(200);
      const redacted = { membership: "join", [VOUCHED_FOR_BY]: alice.userId };
      await until(
        "the redaction on alpha",
        () => alice.event(roomId, joined?.event_id ?? ""),
        (event) => event.unsigned?.["redacted_because"] !== undefined,
      );
      expect((await alice.event(roomId, joined?.event_id ?? "")).content).toEqual(redacted);

      await Promise.all([alpha.restart(), beta.restart()]);
      expect(await join(erin, roomId)).toBe(200);
      const said = await pseudo.alpha.sendText(roomId, "still here");
      await erin.waitForMessage(roomId, (event) => event.event_id === said);
      expect(await everywhere()).toEqual(["join", "join", "invite"]);
      expect(await membership(roomId, pseudo.alpha)).toEqual(redacted);
    });
  });

  describe("a peekable room, for somebody of its server who is not in it", () => {
    /** What a room says to a reader, by endpoint. */
    const readings = async (roomId: string, eventId: string): Promise<Record<string, number>> => {
      const event = encodeURIComponent(eventId);
      const paths = {
        state: `${roomPath(roomId)}/state`,
        name: stateOf(roomId, "m.room.name"),
        members: `${roomPath(roomId)}/members`,
        messages: `${roomPath(roomId)}/messages?dir=b`,
        event: `${roomPath(roomId)}/event/${event}`,
        context: `${roomPath(roomId)}/context/${event}`,
        initialSync: `${roomPath(roomId)}/initialSync`,
        aliases: `${roomPath(roomId)}/aliases`,
        relations: `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/relations/${event}`,
        threads: `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/threads`,
        summary: `/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}`,
        events: `/_matrix/client/v3/events?room_id=${encodeURIComponent(roomId)}&timeout=0`,
      };
      const asked = Object.entries(paths).map(async ([name, at]): Promise<[string, number]> => {
        return [name, (await erin.request("GET", at)).status];
      });
      return Object.fromEntries(await Promise.all(asked));
    };
    const texts = (events: readonly RoomEvent[]): unknown[] =>
      events.filter(({ type }) => type === "m.room.message").map(({ content }) => content["body"]);

    it.each(["shared", "joined"])("opens what world_readable opens, with history visibility %s", async (visibility) => {
      const roomId = await room("peekable", { name: "Lounge" });
      await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: visibility });
      const eventId = await bob.sendText(roomId, "hello");
      const answers = Object.entries(await readings(roomId, eventId));
      expect(answers.filter(([, status]) => status !== 200)).toEqual([]);
      expect(texts((await erin.messages(roomId)).chunk)).toEqual(["hello"]);
    });

    it("opens its past to servers that come later, whatever the history visibility", async () => {
      const roomId = await room("peekable");
      await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
      await bob.sendText(roomId, "before anybody came");
      expect(await join(alice, roomId)).toBe(200);
      const seen = await until(
        "the past on alpha",
        async () => texts((await alice.messages(roomId)).chunk),
        (all) => all.length > 0,
      );
      expect(seen).toEqual(["before anybody came"]);
    });

    it("shows what was said while it was peekable, and nothing while it is not", async () => {
      const roomId = await room("peekable", { name: "Lounge" });
      const open = await bob.sendText(roomId, "in the open");
      await bob.sendState(roomId, "m.room.join_rules", { join_rule: "invite" });
      const hidden = await bob.sendText(roomId, "among us");
      const answers = Object.entries(await readings(roomId, hidden));
      expect(answers.filter(([, status]) => status === 200)).toEqual([]);
      expect((await erin.event(roomId, open)).content["body"]).toBe("in the open");

      await bob.sendState(roomId, "m.room.join_rules", { join_rule: "peekable" });
      expect(texts((await erin.messages(roomId)).chunk)).toEqual(["in the open"]);
    });

    it("is not opened by the word in a version that does not know it", async () => {
      const roomId = await room("peekable", { room_version: "12", name: "Lounge" });
      const eventId = await bob.sendText(roomId, "hello");
      const answers = Object.entries(await readings(roomId, eventId));
      expect(answers.filter(([, status]) => status === 200)).toEqual([]);
      expect(await join(erin, roomId)).toBe(403);
      expect(await join(pseudo.beta, roomId)).toBe(403);
    });

    it("is not knocked on", async () => {
      const roomId = await room("peekable");
      for (const who of [erin, carol, pseudo.alpha]) {
        const query = { via: beta.serverName, server_name: beta.serverName };
        const knocked = await who.request("POST", `/_matrix/client/v3/knock/${encodeURIComponent(roomId)}`, query, {});
        expect(knocked.status).toBe(403);
      }
    });
  });

  describe("what others are told of a peekable room", () => {
    const told = { join_rule: "peekable", world_readable: true };
    let roomId: string;
    beforeAll(async () => {
      roomId = await room("peekable", { visibility: "public", name: "Lounge", room_alias_name: "lounge" });
    });

    it("the directory, here and over federation", async () => {
      const listed = async (who: MatrixUser, server?: string): Promise<Json | undefined> => {
        const { body } = await who.request("GET", "/_matrix/client/v3/publicRooms", { server });
        return (body["chunk"] as Json[]).find((entry) => entry["room_id"] === roomId);
      };
      // Statistics of rooms, which the directory reads, come a little later.
      const isThere = (entry: Json | undefined): boolean => entry !== undefined;
      expect(await until("the directory", () => listed(erin).catch(() => undefined), isThere)).toMatchObject(told);
      expect(await listed(alice, beta.serverName)).toMatchObject(told);
      expect(await listed(dave, beta.serverName)).toMatchObject(told);
    });

    it("the summary, here, over federation, and to a server that cannot join", async () => {
      expect(await erin.roomSummary(roomId)).toMatchObject({
        ...told,
        room_version: PEEKABLE_VERSION,
      });
      expect(await alice.roomSummary(roomId, [beta.serverName])).toMatchObject(told);
      expect(await dave.roomSummary(roomId, [beta.serverName])).toMatchObject(told);
      expect(await pseudo.alpha.roomSummary(`#lounge:${beta.serverName}`, [beta.serverName])).toMatchObject(told);
    });

    it("the hierarchy of a space, whose first room is on another server", async () => {
      const space = await alice.createRoom({ preset: "public_chat", creation_content: { type: "m.space" } });
      await alice.sendState(space, "m.space.child", { via: [beta.serverName] }, roomId);
      const at = `/_matrix/client/v1/rooms/${encodeURIComponent(space)}/hierarchy`;
      const { body } = await carol.request("GET", at);
      const rooms = body["rooms"] as Json[];
      expect(rooms.find((entry) => entry["room_id"] === roomId)).toMatchObject(told);
    });
  });

  describe("the room version", () => {
    it("is announced as unstable, and the default stays what it was", async () => {
      const versions = async (who: MatrixUser): Promise<Json> => {
        const { body } = await who.request("GET", "/_matrix/client/v3/capabilities");
        return (body["capabilities"] as Json)["m.room_versions"] as Json;
      };
      const [ours, stock] = [await versions(alice), await versions(dave)];
      expect(ours["default"]).toBe(stock["default"]);
      expect(ours["available"]).toEqual({ ...(stock["available"] as Json), [PEEKABLE_VERSION]: "unstable" });
    });

    it("leaves the presets what they are", async () => {
      for (const [preset, joinRule] of [
        ["public_chat", "public"],
        ["private_chat", "invite"],
      ] as const) {
        const roomId = await bob.createRoom({ room_version: PEEKABLE_VERSION, preset });
        const { body } = await bob.request("GET", stateOf(roomId, "m.room.join_rules"));
        expect(body).toEqual({ join_rule: joinRule });
      }
    });
  });

  describe("a server that does not know the version", () => {
    it("joins nothing, and makes no such room", async () => {
      const roomId = await room("peekable");
      const query = { via: beta.serverName, server_name: beta.serverName };
      for (const who of [dave, pseudo.gamma]) {
        const at = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
        const answer = await who.request("POST", at, query, {});
        expect(answer).toMatchObject({ status: 400, body: { errcode: "M_INCOMPATIBLE_ROOM_VERSION" } });
      }
      const made = await dave.request("POST", "/_matrix/client/v3/createRoom", {}, { room_version: PEEKABLE_VERSION });
      expect(made).toMatchObject({ status: 400, body: { errcode: "M_UNSUPPORTED_ROOM_VERSION" } });
      expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);
    });

    it("shares rooms of the stable version with patched servers as before", async () => {
      const roomId = await dave.createRoom({ room_version: "12", preset: "public_chat" });
      await alice.join(roomId, [gamma.serverName]);
      await pseudo.beta.join(roomId, [gamma.serverName]);
      await bob.join(roomId, [gamma.serverName]);
      const said = await bob.sendText(roomId, "hello");
      await dave.waitForMessage(roomId, (event) => event.event_id === said);
      const members = [alice, bob, dave, pseudo.beta].map(({ userId }) => userId).sort();
      expect(await dave.joinedMembers(roomId)).toEqual(members);
    });
  });
}

function roomPath(roomId: string): string {
  return `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
}

function stateOf(roomId: string, type: string, stateKey = ""): string {
  return `${roomPath(roomId)}/state/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}`;
}
