/** What a look into a room tells: other servers, whoever reads the log, and whoever has the database. */
import type { MatrixClient } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { rows } from "../support/database.ts";
import { FederationRecorder } from "../support/federation-recorder.ts";
import { KINDS, type Kind, type Scene } from "../support/onlooker.ts";
import { liveMessage, PEEK_SETTINGS, peekableRoom, quietClient, textsOf } from "../support/peek-scenario.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const LOCALPART = "secretive-reader";
const DEVICE = "SECRETIVEDEVICE";

const recorder = new FederationRecorder();
let stage: Stage;
let bob: MatrixUser;
let reader: MatrixClient;

beforeAll(async () => {
  stage = await openStage({ settings: PEEK_SETTINGS, recorder });
  bob = await stage.user(stage.theirs, "bob");
  await stage.ours.registerUser(LOCALPART);
  const login = await fetch(`${stage.ours.url}/_matrix/client/v3/login`, {
    method: "POST",
    body: JSON.stringify({
      type: "m.login.password",
      identifier: { type: "m.id.user", user: LOCALPART },
      password: LOCALPART,
      device_id: DEVICE,
    }),
  });
  const { user_id: userId, access_token: accessToken } = (await login.json()) as {
    user_id: string;
    access_token: string;
  };
  reader = quietClient({ baseUrl: stage.emissary.gatewayUrl, userId, accessToken, deviceId: DEVICE });
});
afterAll(() => stage.close());

/** Blobs are texts here. */
function textOf(row: object): string {
  return Object.values(row).map(String).join(" ");
}

describe("a user who looks into a room of another server", () => {
  it("is named in nothing that the servers say to each other, in no log entry and in no row", async () => {
    const { roomId, alias } = await peekableRoom(bob, stage, "12");
    const before = recorder.exchanges.length;

    await reader.getRoomIdForAlias(alias);
    const room = await reader.peekInRoom(roomId, 5);
    await reader.scrollback(room, 30);
    expect(textsOf(room)).toEqual(["one", "two", "three"]);
    await liveMessage(bob, room, "live");
    await reader.members(roomId);
    // What the people there see of it says what it is, and why it is there.
    const shown = (await bob.members(roomId)).find((event) => event.state_key === stage.pseudouser)?.content;
    expect(shown).toMatchObject({
      displayname: `${stage.ours.serverName} (preview)`,
      reason: `Somebody at ${stage.ours.serverName} looks into this room, or has a bot here.`,
    });
    reader.stopPeeking();
    // What goes out a little later, such as presence, goes before what is said now.
    await bob.sendText(roomId, "afterwards");
    await (await stage.tenant("witness")).join(roomId, [stage.theirs.serverName]);

    const seen = recorder.exchanges.slice(before).map(({ method, url }) => `${method} ${url.split("?")[0] ?? ""}`);
    expect(seen.some((line) => line.startsWith("PUT /_matrix/federation/v2/send_join/"))).toBe(true);
    expect(seen.some((line) => line.startsWith("PUT /_matrix/federation/v1/send/"))).toBe(true);
    // The recorder sees what is said: a user who does speak, and the pseudouser.
    expect(recorder.text).toContain(bob.userId);
    expect(recorder.text).toContain(stage.pseudouser);
    for (const secret of [LOCALPART, DEVICE, reader.getAccessToken() ?? ""]) {
      expect(recorder.text).not.toContain(secret);
      expect(stage.emissary.log).not.toContain(secret);
    }
    const { databasePath } = stage.emissary;
    const tables = rows<{ name: string }>(databasePath, "SELECT name FROM sqlite_master WHERE type = 'table'");
    const kept = tables
      .flatMap(({ name }) => rows<object>(databasePath, `SELECT * FROM "${name}"`).map(textOf))
      .join("\n");
    expect(kept).toContain(roomId);
    expect(kept).not.toContain(LOCALPART);
  });

  it("brings nobody there where the room's summary tells enough", async () => {
    const { roomId } = await peekableRoom(bob, stage, "12");
    const accessToken = reader.getAccessToken() ?? "";
    const summary = await fetch(
      `${stage.emissary.gatewayUrl}/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}?via=${stage.theirs.serverName}`,
      { headers: { authorization: `Bearer ${accessToken}` } },
    );
    expect(await summary.json()).toMatchObject({ room_id: roomId, name: "The square", num_joined_members: 1 });
    expect((await bob.members(roomId)).map((event) => event.state_key)).toEqual([bob.userId]);
    expect(recorder.text).not.toContain(LOCALPART);
  });
});

describe("whatever a client asks while its user looks into a room", () => {
  const NAME = "curious-onlooker";
  let onlooker: MatrixUser;
  let scene: Scene;

  /** What the servers said since, as far as it bears the user's name. */
  const naming = (since: number): string[] =>
    recorder.exchanges
      .slice(since)
      .filter(({ text }) => text.toLowerCase().includes(NAME) || text.includes("Curious Onlooker"))
      .map(({ method, url, text }) => `${method} ${url}: ${text.slice(0, 500)}`);

  const ask = async ({ requests }: Kind): Promise<{ request: string; status: number; body: Json }[]> => {
    const answers: { request: string; status: number; body: Json }[] = [];
    for (const [method, path, body] of requests(scene)) {
      const { status, body: answered } = await onlooker.request(method, path, {}, body);
      answers.push({ request: `${method} ${path}`, status, body: answered });
    }
    return answers;
  };

  /** All that our server had to say before is said: somebody who is in the room reads, and the other server hears of it. */
  const allIsSaid = async (member: MatrixUser, since: number): Promise<void> => {
    const event = await bob.sendText(scene.room, `read this ${since}`);
    await until(
      "the member having it",
      () => member.request("GET", `/_matrix/client/v3/rooms/${encodeURIComponent(scene.room)}/event/${event}`),
      ({ status }) => status === 200,
    );
    await member.request(
      "POST",
      `/_matrix/client/v3/rooms/${encodeURIComponent(scene.room)}/receipt/m.read/${event}`,
      {},
      {},
    );
    await until(
      "the member's receipt",
      async () =>
        recorder.exchanges.slice(since).some(({ text }) => text.includes("m.receipt") && text.includes(event)),
      Boolean,
    );
  };

  beforeAll(async () => {
    const { roomId, alias } = await peekableRoom(bob, stage, "11");
    const { userId, accessToken } = await stage.user(stage.ours, NAME);
    onlooker = new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
    const upload = await fetch(`${stage.theirs.url}/_matrix/media/v3/upload`, {
      method: "POST",
      headers: { authorization: `Bearer ${bob.accessToken}`, "content-type": "image/gif" },
      body: Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64"),
    });
    const { content_uri: uri } = (await upload.json()) as { content_uri: string };
    scene = {
      room: roomId,
      knockable: await bob.createRoom({
        room_version: "11",
        initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
      }),
      event: await bob.sendText(roomId, "look here"),
      alias,
      me: userId,
      other: bob.userId,
      server: stage.theirs.serverName,
      media: uri.split("/").at(-1) ?? "",
    };
  });

  it("nothing leaves the server that names it", async () => {
    const since = recorder.exchanges.length;
    for (const kind of KINDS.filter(({ outcome }) => outcome !== "named")) {
      const answers = await ask(kind);
      // Each is a request that the homeserver has, and that it answers, or refuses where it says so.
      const unanswered = answers.filter(
        ({ status, body }) => status >= 500 || status === 429 || body["errcode"] === "M_UNRECOGNIZED",
      );
      expect([kind.title, unanswered]).toEqual([kind.title, []]);
      if (kind.outcome === "refused") expect(answers.filter(({ status }) => status < 400)).toEqual([]);
    }
    expect(recorder.exchanges.length).toBeGreaterThan(since);
    const member = await stage.user(stage.ours, "somebody-there");
    await member.join(scene.room, [stage.theirs.serverName]);
    // A second look, when the pseudouser and a member are there.
    for (const kind of KINDS.filter(({ outcome }) => outcome !== "named")) await ask(kind);
    await allIsSaid(member, since);
    expect(naming(since)).toEqual([]);
  });

  it.each(KINDS.filter(({ outcome }) => outcome === "named"))("$title tells who it is, and is to", async (kind) => {
    const since = recorder.exchanges.length;
    const answers = await ask(kind);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    await until("the name on its way", async () => naming(since).length > 0, Boolean);
  });

  it("from the join on its receipts go where a member's go", async () => {
    const since = recorder.exchanges.length;
    await allIsSaid(onlooker, since);
    expect(naming(since).some((line) => line.includes("/send/"))).toBe(true);
  });
});
