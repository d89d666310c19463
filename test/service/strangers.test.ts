/**
 * What those learn whom a room does not concern: tenants without a grant that names it, users who are not in it, other servers. Of what
 * policy has against something they learn a code and a sentence by it; of a hidden room, nothing at all.
 */
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { PEEK_ENDPOINTS } from "../../src/peek/routes.ts";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { CLIENT_V3 } from "../../src/http/client-paths.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { ask, eventually, PSEUDOUSER, startService, type Answer, type Service } from "../support/service-app.ts";

const CREATOR = "@creator:elsewhere.test";
const CANARY = "he is a stalker, see ticket 5";
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const VIA = "?via=elsewhere.test";

interface Asked {
  readonly method: string;
  readonly path: string;
}

const VALUES: Readonly<Record<string, string>> = {
  eventId: "$event",
  eventType: "m.room.topic",
  stateKey: "key",
  userId: `@somebody:${SERVER}`,
  txnId: "t1",
  relType: "m.annotation",
  networkId: "net",
  receiptType: "m.read",
};

/** An endpoint's path with a room in it. */
function at(path: string, room: string): string {
  return path.replaceAll(/:(\w+)/g, (_all, name: string) => {
    const value = name === "roomId" || name === "roomIdOrAlias" ? room : (VALUES[name] ?? "x");
    return encodeURIComponent(value);
  });
}

const ofRooms = ({ path }: Asked): boolean => path.includes("/:roomId");

const OF_TENANTS: readonly Asked[] = ENDPOINTS.map(({ method, path, under }) => ({
  method,
  path: `${(under ?? CLIENT_V3)[0]}${path}`,
})).filter(ofRooms);
const OF_USERS: readonly Asked[] = [
  ...PEEK_ENDPOINTS.map(({ method, path, under }) => ({ method, path: `${under[0]}${path}` })).filter(ofRooms),
  { method: "GET", path: "/_matrix/client/v3/events?room_id=:roomId&timeout=0" },
];

/**
 * A room that the pseudouser is in for somebody else, one that it is not in, and none.
 * @param maker what their IDs name as their maker's server; nothing as from room version 12 on
 */
async function setUp(maker = ":elsewhere.test"): Promise<{ service: Service; rooms: readonly string[]; one: string }> {
  const service = await startService({ settings: { peek: { wait: 600_000 }, gateway: { frontDoor: true } } });
  const { homeserver } = service;
  // Only who is in a private room is told of it, as homeservers have it.
  const hidden = { joinRule: "invite", summary: "members", historyVisibility: "shared", creator: CREATOR } as const;
  const [inside, outside] = ["!inside", "!outside"].map((id) =>
    homeserver.makeRoom({ ...hidden, id: `${id}${maker}` }),
  );
  if (inside === undefined || outside === undefined) throw new Error("no rooms");
  homeserver.setMembership(inside, PSEUDOUSER, "invite", CREATOR);
  expect((await service.admin("POST", `/rooms/${encodeURIComponent(inside.id)}/join`, { via: [] })).status).toBe(200);
  await service.untilRoom(inside.id, { load: "loaded" });
  const { token } = await service.tenant("one");
  return { service, rooms: [inside.id, outside.id, `!none${maker}`], one: token };
}

function named(text: string, room: string): string {
  return text.replaceAll(room, "ROOM").replaceAll(encodeURIComponent(room), "ROOM");
}

/** What was answered, with the room's name taken out. */
function outline({ status, headers, raw }: Answer, room: string): unknown {
  return [status, headers["content-type"], headers["retry-after"], named(raw.toString("utf8"), room)];
}

async function answersTo(service: Service, rooms: readonly string[], token: string, { method, path }: Asked) {
  const found: unknown[] = [];
  for (const room of rooms) {
    const target = at(path, room);
    const query = target.includes("?") ? VIA.replace("?", "&") : VIA;
    // Tenants may not set routes where they read.
    const isRouted = /join|peek\/|summary/.test(path) || token === "token-of-alice";
    const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
    const answer = await service.gateway(method, `${target}${isRouted ? query : ""}`, { token, ...body });
    found.push(outline(answer, room));
  }
  return found;
}

describe("of a private room the answer is the same, whether the pseudouser is in it, or it is there at all", () => {
  test("to a tenant without a right to it, at every endpoint that takes a room", async () => {
    const { service, rooms, one } = await setUp();
    expect(OF_TENANTS.length).toBeGreaterThan(30);
    for (const asked of OF_TENANTS) {
      const [inside, outside, none] = await answersTo(service, rooms, one, asked);
      expect([asked.path, inside, outside]).toEqual([asked.path, none, none]);
    }
  }, 60_000);

  test("to a user who is not in it, at every endpoint that takes a room", async () => {
    const { service, rooms } = await setUp();
    expect(OF_USERS.length).toBeGreaterThan(15);
    for (const asked of OF_USERS) {
      const [inside, outside, none] = await answersTo(service, rooms, "token-of-alice", asked);
      // Of rooms that nobody here is in the homeserver itself says nothing else than of one that is there: the fake one does.
      expect([asked.path, inside]).toEqual([asked.path, outside]);
      if (/initialSync|peek\//.test(asked.path)) expect([asked.path, inside]).toEqual([asked.path, none]);
    }
  }, 60_000);

  test("nor where every server that is named is denied", async () => {
    const { service, rooms, one } = await setUp("");
    const rule = { kind: "server", entity: "denied.test", verdict: "deny" };
    expect((await service.admin("POST", "/policy/rules", rule)).status).toBe(200);
    for (const token of [one, "token-of-alice"]) {
      const path =
        token === one ? "/_matrix/client/v3/join/:roomIdOrAlias" : "/_matrix/client/v3/rooms/:roomId/initialSync";
      const found: unknown[] = [];
      for (const room of rooms) {
        const target = `${at(path, room)}?via=denied.test`;
        const answer = await service.gateway(token === one ? "POST" : "GET", target, {
          token,
          ...(token === one ? { body: {} } : {}),
        });
        found.push(outline(answer, room));
      }
      expect(found).toEqual([found[2], found[2], found[2]]);
      expect(JSON.stringify(found[2])).toContain("denied");
    }
  });

  test("and costs the same questions", async () => {
    const { service, rooms, one } = await setUp();
    const looks: number[] = [];
    for (const room of rooms) {
      const before = service.homeserver.seen("GET", /room_summary/).length;
      const join = `/_matrix/client/v3/join/${encodeURIComponent(room)}${VIA}`;
      for (let times = 0; times < 3; times += 1) await service.gateway("POST", join, { token: one, body: {} });
      looks.push(service.homeserver.seen("GET", /room_summary/).length - before);
    }
    expect(looks).toEqual([looks[2], looks[2], looks[2]]);
  });
});

const DENIALS: readonly (readonly [kind: string, entity: (room: string) => string])[] = [
  ["room", (room) => room],
  ["server", () => "elsewhere.test"],
  ["user", () => CREATOR],
  ["tenant", () => "one"],
];

describe("the operator's private reason is told to nobody", () => {
  test.each(DENIALS)("of a rule about a %s", async (kind, entity) => {
    const service = await startService({ settings: { policy: { ownInvites: "decline" } } });
    const { homeserver } = service;
    const tenant = await service.tenant("one", ["read", "send", "create"]);
    const room = homeserver.makeRoom({ historyVisibility: "world_readable", creator: CREATOR });
    const joined = homeserver.makeRoom({ historyVisibility: "world_readable", creator: CREATOR });
    expect((await tenant.join(joined.id, VIA)).status).toBe(200);
    expect(
      (
        await service.gateway("GET", `/_matrix/client/v3/rooms/${encodeURIComponent(joined.id)}/initialSync`, {
          token: "token-of-alice",
        })
      ).status,
    ).toBe(200);
    await service.untilRoom(joined.id, { load: "loaded" });
    const rules = [room.id, joined.id].map((id) => entity(id));
    for (const one of new Set(rules)) {
      const rule = { kind, entity: one, verdict: "deny", reason: CANARY };
      expect((await service.admin("POST", "/policy/rules", rule)).status).toBe(200);
    }
    await eventually("the lease's end", async () => (await tenant.send(joined.id, { body: "x" })).status === 403);
    homeserver.setMembership(room, PSEUDOUSER, "invite", CREATOR);
    await service.untilDelivered();
    const id = encodeURIComponent(room.id);
    const answers = [
      await tenant.join(room.id, VIA),
      await tenant.join(joined.id, VIA),
      await tenant.ask("PUT", `/rooms/${id}/state/m.room.member/${encodeURIComponent(tenant.sender)}${VIA}`, {
        membership: "join",
      }),
      await tenant.ask("POST", "/createRoom", {}),
      await service.gateway("GET", `/_matrix/client/v3/rooms/${id}/initialSync${VIA}`, { token: "token-of-alice" }),
      await service.gateway("POST", `${UNSTABLE}/peek/${id}${VIA}`, { token: "token-of-alice", body: {} }),
      await service.gateway("POST", `${UNSTABLE}/peek/${encodeURIComponent(joined.id)}`, {
        token: "token-of-alice",
        body: {},
      }),
    ];
    expect(answers.map(({ raw }) => raw.toString("utf8")).filter((text) => text.includes("stalker"))).toEqual([]);
    expect(answers.filter(({ status }) => status === 403).length).toBeGreaterThan(0);
    for (const { status, body } of answers.filter(({ status: of }) => of === 403)) {
      expect([status, body["org.matrix.msc1777.reason"]]).toEqual([403, "denied"]);
      expect(body["error"]).toBe("The operator of this server does not allow this.");
    }
    // What goes out, to homeserver and other servers: declined invites, moves, events.
    await service.untilDelivered();
    const sent = homeserver.requests.map(({ body, url }) => `${url} ${JSON.stringify(body)}`);
    expect(sent.filter((text) => text.includes("stalker"))).toEqual([]);
    const explained = await service.admin(
      "GET",
      `/policy/explain?room=${id}&for=${kind === "tenant" ? "tenant:one" : "user"}&via=elsewhere.test`,
    );
    expect(explained.raw.toString("utf8")).toContain(CANARY);
  });

  test("nor is where the homeserver is, when it is down", async () => {
    const service = await startService();
    const tenant = await service.tenant("one");
    const room = service.homeserver.makeRoom();
    await tenant.join(room.id, VIA);
    const { port } = new URL(service.homeserver.url);
    await service.homeserver.close();
    const answers = [
      await tenant.send(room.id, { body: "x" }),
      await service.gateway("POST", `${UNSTABLE}/peek/${encodeURIComponent(room.id)}`, { token: "t", body: {} }),
      await service.gateway("GET", `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/initialSync`, {
        token: "t",
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([502, 502, 502]);
    for (const { raw } of answers)
      expect(raw.toString("utf8")).not.toMatch(new RegExp(`${port}|127\\.0|homeserver\\.url`));
  });
});

/** One request, letter for letter. */
function raw(port: number, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(`${head}\r\nConnection: close\r\n\r\n`));
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("utf8")));
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

test.each([
  "/_synapse/admin/v1/rooms",
  "//_synapse/admin/v1/rooms",
  "/_synapse/%61dmin/v1/rooms",
  "/%5fsynapse/admin/v1/rooms",
  "http://localhost/_synapse/admin/v1/rooms",
  "/_matrix/client/../../_synapse/admin/v1/rooms",
  "/_matrix/client/%2e%2e/%2e%2e/_synapse/admin/v1/rooms",
  "/_matrix/client/v3/rooms/..%2f..%2f..%2f..%2f_synapse%2fadmin%2fv1%2frooms/messages",
  "/_matrix/federation/v1/version",
  "/_matrix/key/v2/server",
  "/metrics",
  "/",
])("the front door passes no %s", async (target) => {
  const service = await startService({ settings: { gateway: { frontDoor: true } } });
  const asked = service.homeserver.requests.length;
  const head = `GET ${target} HTTP/1.1\r\nHost: hs.test\r\nAuthorization: Bearer token-of-alice`;
  const answer = await raw(service.app.ports.gateway, head);
  // What no client writes so is malformed to begin with.
  const isOdd = /^http|\/\/|\.\.|%2e/i.test(target);
  expect([answer.split(" ")[1], answer.includes("M_UNRECOGNIZED")]).toEqual(isOdd ? ["400", false] : ["404", true]);
  expect(service.homeserver.requests.slice(asked).map(({ url }) => url)).toEqual([]);
});

test("a web page whose name leads to the admin listener reads nothing there", async () => {
  const service = await startService();
  const port = service.app.ports.admin;
  for (const path of ["/metrics", "/ready", "/health", "/_emissary/v1/status"]) {
    const answer = await raw(port, `GET ${path} HTTP/1.1\r\nHost: evil.example:${port}`);
    expect([path, answer.split(" ")[1]]).toEqual([path, "403"]);
    expect(answer).toContain("is not a name of this listener");
  }
  const monitor = await raw(port, `GET /metrics HTTP/1.1\r\nHost: emissary:${port}`);
  expect(monitor).toContain("emissary_");
  const token = service.config.admin.token;
  expect(await raw(port, `GET /metrics HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${token}`)).toContain(
    "emissary_",
  );
  expect((await ask(port, "GET", "/metrics")).status).toBe(200);
});
