/** What a look into a room tells: other servers, whoever reads the log, and whoever has the database. */
import type { MatrixClient } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { rows } from "../support/database.ts";
import { FederationRecorder } from "../support/federation-recorder.ts";
import { liveMessage, PEEK_SETTINGS, peekableRoom, quietClient, textsOf } from "../support/peek-scenario.ts";
import { openStage, type Stage } from "../support/stage.ts";

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
