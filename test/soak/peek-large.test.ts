import { afterAll, beforeAll, expect, it } from "vitest";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

/** A first look into a room of five thousand members on another server: the homeserver takes its time to join such a room. */
const MEMBERS = 5_000;
/** So long a client waits for an answer, milliseconds: Element gives up after a minute or two, a browser's fetch after five. */
const CLIENT_WAITS = 60_000;
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
let stage: Stage;
let bob: MatrixUser;
let alice: MatrixUser;

beforeAll(async () => {
  stage = await openStage({
    synapse: { modules: [{ module: "crowd.Crowd" }], push: { enabled: false } },
    settings: { gateway: { front_door: true }, policy: { max_members: 2 * MEMBERS } },
  });
  bob = await stage.user(stage.theirs, "bob");
  const { userId, accessToken } = await stage.user(stage.ours, "alice");
  alice = new MatrixUser({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
}, 180_000);
afterAll(() => stage.close());

const membersIn = (events: unknown): number =>
  (Array.isArray(events) ? (events as Json[]) : []).filter(({ type }) => type === "m.room.member").length;

it("is answered or refused in words while a client waits, and shows the whole room afterwards", async () => {
  const roomId = await bob.createRoom({
    preset: "public_chat",
    name: "Stadium",
    initial_state: [
      { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
    ],
  });
  const made = await bob.request("POST", "/_test/crowd", {}, { room_id: roomId, members: MEMBERS });
  expect(made).toEqual({ status: 200, body: {} });
  for (let n = 0; n < 5; n += 1) await bob.sendText(roomId, `message ${n}`);

  const room = encodeURIComponent(roomId);
  const look = (): ReturnType<MatrixUser["request"]> =>
    alice.request("GET", `/_matrix/client/v3/rooms/${room}/initialSync`, { limit: 20, via: stage.theirs.serverName });
  const begun = performance.now();
  const first = await look();
  expect(performance.now() - begun).toBeLessThan(CLIENT_WAITS);
  if (first.status !== 200) {
    expect(first).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    expect(String(first.body["error"])).toMatch(/\w+ \w+ \w+/);
  }
  const said = (body: Json): Json[] => (body["messages"] as { chunk: Json[] } | undefined)?.chunk ?? [];
  const isShown = ({ status, body }: Awaited<ReturnType<typeof look>>): boolean =>
    status === 200 && said(body).length >= 5;
  const shown = await until("the room and its newest messages", look, isShown, 120_000);
  // Bob, and not the pseudouser.
  expect(membersIn(shown.body["state"])).toBe(MEMBERS + 1);

  const servers = [stage.theirs.serverName];
  expect(await alice.request("POST", `${UNSTABLE}/peek/${room}`, {}, { servers })).toMatchObject({ status: 200 });
  const { status, body } = await alice.request("GET", "/_matrix/client/v3/sync", { timeout: 0 });
  expect(status).toBe(200);
  const told = (body["rooms"] as { peek: Record<string, { state: { events: Json[] }; timeline: { events: Json[] } }> })
    .peek[roomId];
  const all = [...(told?.state.events ?? []), ...(told?.timeline.events ?? [])];
  expect(membersIn(all)).toBe(MEMBERS + 1);
  expect(JSON.stringify(all)).not.toContain(`"${stage.pseudouser}"`);
}, 900_000);
