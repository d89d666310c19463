import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { journalEvents, rows } from "../support/database.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let bob: MatrixUser;
let tenant: MatrixUser;
let roomId: string;

beforeAll(async () => {
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  tenant = await stage.tenant("news");
  roomId = await bob.createRoom({ preset: "public_chat" });
  await tenant.join(roomId, [stage.theirs.serverName]);
});
afterAll(() => stage.close());

/** How often each of these events stands in the journal. */
function timesInJournal(eventIds: readonly string[]): number[] {
  const stored = journalEvents(stage.emissary.databasePath).map((event) => event.event_id);
  return eventIds.map((id) => stored.filter((other) => other === id).length);
}

async function eachOnce(eventIds: readonly string[]): Promise<void> {
  await until(
    "the journal",
    async () => timesInJournal(eventIds),
    (times) => times.every((count) => count >= 1),
    60_000,
  );
  expect(timesInJournal(eventIds)).toEqual(eventIds.map(() => 1));
}

describe("messages of the other server", () => {
  it("that were sent while Emissary was down arrive after its start, each once", async () => {
    expect(await stage.emissary.end("SIGTERM")).toBe(0);
    const sent = [await bob.sendText(roomId, "anybody?"), await bob.sendText(roomId, "hello?")];
    await stage.emissary.start();
    // The homeserver backs off while we are down; a ping has it try again at once.
    await pingOurselves();
    await eachOnce(sent);
  });

  it("arrive each once though Emissary is killed again and again while they come", async () => {
    const sent: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const sending = (async () => {
        for (let index = 0; index < 15; index += 1) sent.push(await bob.sendText(roomId, `${round}.${index}`));
      })();
      await new Promise((resolve) => setTimeout(resolve, 150 + round * 70));
      expect(await stage.emissary.end("SIGKILL")).toBe(null);
      await sending;
      await stage.emissary.start();
      await pingOurselves();
    }
    await eachOnce(sent);
    expect(await tenant.joinedRooms()).toEqual([roomId]);
  });

  it("arrive after our homeserver restarted, whose transaction IDs then begin at 1 again", async () => {
    const first = await bob.sendText(roomId, "before the restart");
    await eachOnce([first]);
    await stage.ours.restart();
    const second = await bob.sendText(roomId, "after the restart");
    await eachOnce([second]);
    // What makes this a test: the homeserver did give the same transaction ID twice.
    const repeated = rows(
      stage.emissary.databasePath,
      "SELECT txn_id FROM journal GROUP BY txn_id HAVING count(*) > 1",
    );
    expect(repeated.length).toBeGreaterThan(0);
  });
});

describe("a join that Emissary was killed in", () => {
  it("is finished after the next start", async () => {
    const other = await bob.createRoom({ preset: "public_chat" });
    const joining = tenant.join(other, [stage.theirs.serverName]).catch(() => "cut off");
    await until(
      "the lease",
      async () =>
        rows(
          stage.emissary.databasePath,
          "SELECT 1 FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE r.room_id = ? AND l.ended_at IS NULL",
          other,
        ),
      (leases) => leases.length === 1,
    );
    await stage.emissary.end("SIGKILL");
    await joining;
    await stage.emissary.start();
    await until(
      "the tenant's rooms",
      () => tenant.joinedRooms(),
      (joined) => joined.includes(other),
    );
    expect(await bob.joinedMembers(other)).toContain(stage.pseudouser);
  });
});

describe("what the users of a tenant send as the one pseudouser", () => {
  let crowd: MatrixUser;
  let cat: string;
  let dog: string;
  let path: string;

  beforeAll(async () => {
    cat = `@crowd_cat:${stage.ours.serverName}`;
    dog = `@crowd_dog:${stage.ours.serverName}`;
    const users = `@crowd_.*:${stage.ours.serverName}`;
    crowd = await stage.tenant("crowd", "--users", users, "--actions", "read,send,redact");
    await crowd.join(roomId, [stage.theirs.serverName]);
    path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
  });

  const put = async (user: string, what: string, content: Json): Promise<string> => {
    const { status, body } = await crowd.request("PUT", `${path}/${what}`, { user_id: user }, content);
    expect([what, status, body]).toEqual([what, 200, { event_id: expect.any(String) as string }]);
    return (body as { event_id: string }).event_id;
  };
  const reactions = async (eventId: string): Promise<number> => {
    const relations = `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/relations/${encodeURIComponent(eventId)}`;
    return ((await bob.request("GET", `${relations}/m.annotation`)).body as { chunk: Json[] }).chunk.length;
  };

  it("is one event for one transaction ID, over a restart of the homeserver, also where we ended before we knew of it", async () => {
    const text = { msgtype: "m.text", body: "once" };
    const first = await put(cat, "send/m.room.message/once", text);
    await stage.ours.restart();
    expect(await put(cat, "send/m.room.message/once", text)).toBe(first);
    await stage.emissary.end("SIGKILL");
    const database = new Database(stage.emissary.databasePath);
    database.exec("DELETE FROM sent_events");
    database.close();
    await Promise.all([stage.ours.restart(), stage.emissary.start()]);
    expect(await put(cat, "send/m.room.message/once", text)).toBe(first);
    const read = await crowd.request("GET", `${path}/event/${encodeURIComponent(first)}`);
    expect(read.body).toMatchObject({ sender: cat, content: text, unsigned: { transaction_id: "once" } });
  });

  it("are the same reaction of each, which goes with the last", async () => {
    const liked = await bob.sendText(roomId, "like this");
    await crowd.waitForMessage(roomId, ({ event_id: id }) => id === liked);
    const like = { "m.relates_to": { rel_type: "m.annotation", event_id: liked, key: "👍" } };
    const ofCat = await put(cat, "send/m.reaction/1", like);
    const ofDog = await put(dog, "send/m.reaction/1", like);
    expect(ofDog).not.toBe(ofCat);
    await until(
      "the reaction",
      () => reactions(liked),
      (count) => count === 1,
    );
    await put(cat, `redact/${encodeURIComponent(ofCat)}/1`, {});
    await crowd.sendText(roomId, "after the first redaction");
    await bob.waitForMessage(roomId, ({ content }) => content["body"] === "after the first redaction");
    expect(await reactions(liked)).toBe(1);
    await put(dog, `redact/${encodeURIComponent(ofDog)}/1`, {});
    await until(
      "the end of the reaction",
      () => reactions(liked),
      (count) => count === 0,
    );
  });

  it("is answered to the user who sent it", async () => {
    const question = await put(cat, "send/m.room.message/question", { msgtype: "m.text", body: "well?" });
    await bob.waitForMessage(roomId, ({ event_id: id }) => id === question);
    const own = stage.pseudouser;
    const link = (user: string) => `<a href="https://matrix.to/#/${user}">${user}</a>`;
    const answer = (user: string): Json => ({
      msgtype: "m.text",
      body: `> <${user}> well?\n\nyes`,
      format: "org.matrix.custom.html",
      formatted_body: `<mx-reply><blockquote>${link(user)}<br>well?</blockquote></mx-reply>yes`,
      "m.mentions": { user_ids: [user] },
      "m.relates_to": { "m.in_reply_to": { event_id: question } },
    });
    const answered = await bob.request("PUT", `${path}/send/m.room.message/answer`, {}, answer(own));
    expect(answered.status).toBe(200);
    const { event_id: eventId } = answered.body as { event_id: string };
    const seen = await crowd.waitForMessage(roomId, ({ event_id: id }) => id === eventId);
    expect(seen.content).toEqual(answer(cat));
  });
});

/** Where Synapse is just trying again by itself, it reports a ping that came as failed. */
async function pingOurselves(): Promise<void> {
  await until("the ping", ping, (status) => status === 200);
}

async function ping(): Promise<number> {
  const response = await fetch(`${stage.ours.url}/_matrix/client/v1/appservice/emissary/ping`, {
    method: "POST",
    headers: { authorization: `Bearer ${stage.emissary.asToken}` },
    body: "{}",
  });
  return response.status;
}
