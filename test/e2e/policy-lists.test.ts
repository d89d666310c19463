import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { PEEK_SETTINGS, peekableRoom } from "../support/peek-scenario.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const REASON = "org.matrix.msc1777.reason";

let stage: Stage;
let moderator: MatrixUser;
let alice: MatrixUser;
let list: string;

beforeAll(async () => {
  stage = await openStage({ settings: PEEK_SETTINGS });
  moderator = await stage.user(stage.theirs, "moderator");
  alice = await stage.user(stage.ours, "alice");
  list = await moderator.createRoom({ preset: "public_chat", room_alias_name: "bans" });
  stage.emissary.configure({ policy: { lists: [`#bans:${stage.theirs.serverName}`] } });
  process.kill(stage.emissary.pid, "SIGHUP");
  await until(
    "the pseudouser in the list's room",
    () => moderator.joinedMembers(list),
    (members) => members.includes(stage.pseudouser),
    30_000,
  );
});
afterAll(() => stage.close());

/** What alice is answered who looks into a room by the gateway: the code of the refusal, or its status. */
async function peek({ roomId, alias }: { roomId: string; alias: string }): Promise<unknown> {
  const url = `${stage.emissary.gatewayUrl}/_matrix/client/v3`;
  const headers = { authorization: `Bearer ${alice.accessToken}` };
  await fetch(`${url}/directory/room/${encodeURIComponent(alias)}`, { headers });
  const answer = await fetch(`${url}/rooms/${encodeURIComponent(roomId)}/initialSync`, { headers });
  return ((await answer.json()) as Record<string, unknown>)[REASON] ?? answer.status;
}

// At once, since both wait for the list to be read anew.
it.concurrent.each<[string, (roomId: string) => Record<string, unknown>]>([
  ["by its ID", (roomId) => ({ entity: roomId })],
  ["by the hash of its ID", (roomId) => ({ hashes: { sha256: createHash("sha256").update(roomId).digest("base64") } })],
])(
  "a room that a policy list of another server bans %s is not looked into, until the list takes that back",
  async (how, naming) => {
    const room = await peekableRoom(moderator, stage, "12");
    const other = await peekableRoom(moderator, stage, "12");
    const content = { ...naming(room.roomId), recommendation: "m.ban", reason: "spam" };
    await moderator.sendState(list, "m.policy.rule.room", content, how);
    await until(
      "the refusal",
      () => peek(room),
      (answer) => answer === "listed",
      40_000,
    );
    expect(await peek(other)).toBe(200);
    await moderator.sendState(list, "m.policy.rule.room", {}, how);
    await until(
      "the room being open again",
      () => peek(room),
      (answer) => answer === 200,
      40_000,
    );
  },
);
