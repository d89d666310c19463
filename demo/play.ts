/** What happens on the stage, step by step. Later steps build on earlier ones, so the first that breaks off ends the play. */
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { MatrixUser } from "../homeservers/synapse/client.ts";
import type { Json, RoomEvent } from "../homeservers/synapse/client.ts";
import { Actor, room, textOf } from "./actor.ts";
import { Database } from "./database.ts";
import { showLeasesAndAttendance, showLedger } from "./ledger.ts";
import type { Screen } from "./screen.ts";
import { LINGER_S, OURS } from "./setup.ts";
import type { World } from "./setup.ts";

const TENANT = "demo-bot";
const ALIAS = "garden";
const MARK = "org.matrix.msc1777.on_behalf_of";
const POLL_MS = 100;
const PATIENCE_MS = 10_000;

/** What the play leaves behind to be tried. */
export type Scene = {
  readonly roomId: string;
  readonly alias: string;
  readonly tenant: Actor;
  readonly tenantToken: string;
};

export async function play(world: World, screen: Screen): Promise<Scene> {
  const pseudouser = `@:${world.ours.serverName}`;
  await pseudouserExists(world, screen, pseudouser);
  const { tenant, tenantToken } = await tenantIsAdded(world, screen);
  const { roomId, alias } = await roomIsMade(world, screen);
  const scene = { roomId, alias, tenant, tenantToken };
  await tenantJoins(world, screen, scene, pseudouser);
  await tenantSpeaks(world, screen, scene, pseudouser);
  await bobAnswers(world, screen, scene);
  await ledgerIsRight(world, screen, scene);
  await tenantLeaves(world, screen, scene);
  return scene;
}

async function pseudouserExists(world: World, screen: Screen, pseudouser: string): Promise<void> {
  screen.step(
    "The pseudouser exists",
    `Emissary has made ${pseudouser}, a user with nothing before the colon: the server's one representative in rooms.`,
  );
  const { as_token: accessToken } = await world.emissary.readRegistration();
  const user = new MatrixUser({ homeserverUrl: world.ours.url, userId: pseudouser, accessToken });
  const emissary = new Actor("emissary", user, OURS, screen);
  const answer = await emissary.ask({ method: "GET", path: "/account/whoami", query: { user_id: pseudouser } });
  screen.check(answer.body["user_id"] === pseudouser, "our homeserver lets Emissary act as the pseudouser");
}

async function tenantIsAdded(world: World, screen: Screen): Promise<{ tenant: Actor; tenantToken: string }> {
  screen.step(
    "A tenant is added",
    "A tenant is a bot or bridge that acts through the pseudouser. It gets a registration file as from a homeserver, and uses Emissary's gateway as if that were its homeserver.",
  );
  screen.command(`bin/emissary --config … tenant add ${TENANT}`);
  const { exitCode, stdout, stderr } = await world.emissary.run([
    "--config",
    world.emissary.config,
    "tenant",
    "add",
    TENANT,
  ]);
  if (exitCode !== 0) throw new Error(`emissary tenant add ended with exit code ${exitCode}: ${stderr}`);
  screen.output(stdout.replace(/^#.*\n|^\n/gm, ""));
  const { as_token: tenantToken } = parse(stdout) as { as_token: string };
  const userId = `@_emissary_${TENANT}:${world.ours.serverName}`;
  const user = new MatrixUser({ homeserverUrl: world.emissary.gatewayUrl, userId, accessToken: tenantToken });
  const tenant = new Actor(TENANT, user, "Emissary's gateway", screen);
  const answer = await tenant.ask({ method: "GET", path: "/account/whoami" });
  screen.check(answer.body["user_id"] === userId, "the gateway knows the tenant by its token");
  return { tenant, tenantToken };
}

async function roomIsMade({ alice, bob, other }: World, screen: Screen): Promise<{ roomId: string; alias: string }> {
  screen.step(
    "There is a room that our homeserver is not in",
    "Bob makes a public, world-readable room on the other homeserver. Nobody of our homeserver is in it, so our homeserver cannot show it to alice.",
  );
  const alias = `#${ALIAS}:${other.serverName}`;
  const body: Json = { preset: "public_chat", room_version: "12", room_alias_name: ALIAS, name: "Bob's garden" };
  const readable = {
    type: "m.room.history_visibility",
    state_key: "",
    content: { history_visibility: "world_readable" },
  };
  const made = await bob.ask({ method: "POST", path: "/createRoom", body: { ...body, initial_state: [readable] } });
  const roomId = textOf(made, "room_id");
  const look = await alice.ask({ method: "GET", path: room(roomId, "messages"), query: { dir: "b" } });
  screen.check(look.status === 403, "alice cannot read it (403)");
  return { roomId, alias };
}

async function tenantJoins(world: World, screen: Screen, { roomId, alias, tenant }: Scene, pseudouser: string) {
  screen.step(
    "The tenant joins, and the pseudouser goes",
    "The tenant asks to join as any bot does. Emissary notes a lease, the tenant's reason to be in the room, and has the pseudouser join over federation.",
  );
  const joined = await tenant.ask({ method: "POST", path: `/join/${encodeURIComponent(alias)}` });
  screen.check(joined.body["room_id"] === roomId, "the tenant is told that it is in the room");
  const members = await askForMembers(world.bob, roomId);
  const ofOurs = members.filter((userId) => userId.endsWith(`:${world.ours.serverName}`));
  screen.check(
    ofOurs.length === 1 && ofOurs[0] === pseudouser,
    `of our homeserver, the other one sees ${pseudouser} and nobody else`,
  );
  screen.check(
    !members.includes(tenant.userId),
    `${tenant.userId} is not a member: the tenant put no event into the room`,
  );
}

async function tenantSpeaks(
  { bob }: World,
  screen: Screen,
  { roomId, tenant }: Scene,
  pseudouser: string,
): Promise<void> {
  screen.step(
    "The tenant speaks through the pseudouser",
    "The message goes out as the pseudouser's, with a mark that says for whom it was sent.",
  );
  const body = { msgtype: "m.text", body: "Hello from a bot that never joined" };
  const sent = await tenant.ask({ method: "PUT", path: room(roomId, "send/m.room.message/hello"), body });
  const eventId = textOf(sent, "event_id");
  await bob.user.waitForMessage(roomId, (event) => event.event_id === eventId, PATIENCE_MS);
  const seen = await bob.ask({ method: "GET", path: room(roomId, `event/${eventId}`), pick: essenceOf });
  const content = seen.body["content"] as Json | undefined;
  screen.check(
    seen.body["sender"] === pseudouser && content?.["body"] === body.body,
    "bob sees it, from the pseudouser",
  );
  screen.check(content?.[MARK] === TENANT, `it is marked as sent for ${TENANT}`);
}

async function bobAnswers(world: World, screen: Screen, { roomId }: Scene): Promise<void> {
  screen.step(
    "Bob answers, and the answer arrives",
    "Our homeserver passes the events of the pseudouser's rooms to Emissary, which stores them in its journal before it confirms them. And since our homeserver is now in the room, alice can read it without joining.",
  );
  const body = { msgtype: "m.text", body: "Hello, whoever you are" };
  const sent = await world.bob.ask({ method: "PUT", path: room(roomId, "send/m.room.message/answer"), body });
  const eventId = textOf(sent, "event_id");
  const database = new Database(world.emissary.database);
  const isThere = await eventually(() => database.hasInJournal(eventId));
  screen.rows("the journal in emissary.db", database.journal());
  screen.check(isThere, "bob's answer is in the journal");
  const read = await world.alice.ask({
    method: "GET",
    path: room(roomId, "messages"),
    query: { dir: "b", limit: 3 },
    pick: ({ chunk }) => (chunk as RoomEvent[]).map(essenceOf),
  });
  const ids = ((read.body["chunk"] ?? []) as RoomEvent[]).map(({ event_id }) => event_id);
  screen.check(
    ids.includes(eventId),
    "alice, who got 403 before, reads it: the pseudouser is in the room for all of us",
  );
}

async function ledgerIsRight({ emissary, bob }: World, screen: Screen, { roomId }: Scene): Promise<void> {
  screen.step(
    "The ledger knows what the homeservers know",
    "The ledger is what Emissary's SQLite database says of rooms and members. Here it is beside what the other homeserver answers.",
  );
  const database = new Database(emissary.database);
  const keyOf = (userId: unknown, membership: unknown, eventId: string): string =>
    [userId, membership, eventId].join(" ");
  const answered = await bob.ask({
    method: "GET",
    path: room(roomId, "members"),
    pick: ({ chunk }) =>
      (chunk as RoomEvent[]).map(({ state_key, content, event_id }) => ({
        state_key,
        membership: content["membership"],
        event_id,
      })),
  });
  const theirs = (answered.body["chunk"] as RoomEvent[])
    .map(({ state_key, content, event_id }) => keyOf(state_key, content["membership"], event_id))
    .sort();
  const ours = (): string[] =>
    database.members().map(({ user_id, membership, event_id }) => keyOf(user_id, membership, event_id));
  // The members are loaded in the background after a join.
  const isEqual = await eventually(() => ours().sort().join() === theirs.join());
  showLedger(database, screen);
  screen.check(isEqual, "the same users, memberships and events on both sides");
}

async function tenantLeaves({ emissary, bob }: World, screen: Screen, { roomId, tenant }: Scene): Promise<void> {
  screen.step(
    "The tenant leaves, and so does the pseudouser",
    `With its last lease gone, nothing keeps the pseudouser in the room. It lingers for ${LINGER_S} s (attendance.linger; 10 minutes where nothing is set), since bots often come right back.`,
  );
  const left = await tenant.ask({ method: "POST", path: room(roomId, "leave") });
  screen.check(left.status === 200, "the tenant's lease is released");
  const isGone = async (): Promise<boolean> => (await bob.user.joinedMembers(roomId)).join() === bob.userId;
  const patience = LINGER_S * 1000 + PATIENCE_MS;
  await screen.during("waiting for the pseudouser to leave", eventually(isGone, patience));
  const members = await askForMembers(bob, roomId);
  screen.check(members.join() === bob.userId, "for the other homeserver, bob is alone in the room again");
  const database = new Database(emissary.database);
  const isNoted = await eventually(() => database.attendance()[0]?.["phase"] === "absent");
  showLeasesAndAttendance(database, screen);
  screen.check(isNoted, "Emissary knows that the pseudouser is no longer there (absent)");
}

async function askForMembers(actor: Actor, roomId: string): Promise<string[]> {
  const answer = await actor.ask({ method: "GET", path: room(roomId, "joined_members") });
  return Object.keys(answer.body["joined"] ?? {});
}

/** Of an event, what the reader is to see. */
function essenceOf(event: Json | RoomEvent): Json {
  const { type, sender, content } = event as RoomEvent;
  return { type, sender, content };
}

async function eventually(holds: () => boolean | Promise<boolean>, patienceMs = PATIENCE_MS): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
