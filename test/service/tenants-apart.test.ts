/**
 * Tenants share one user, and the homeserver lets that user redact, edit and replace whatever it sent. Two tenants, whose requests
 * come at the same time, do at random what they can think of to their own events, to each other's and to other people's. Neither
 * changes anything of the other's, whatever order it comes in.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeEvent, FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { PSEUDOUSER, startService, TenantClient, type Answer, type Service } from "../support/service-app.ts";
import { roundsOf, seedOf } from "../support/soak.ts";

const OWNER = "org.matrix.msc1777.on_behalf_of";
const REMOTE = "@remote:elsewhere.test";
const CREATOR = "@creator:elsewhere.test";
const ACTIONS = ["read", "send", "redact", "state", "room-state", "invite", "kick", "ban"];
/** What a member may not do in a room that was made for another tenant. */
const POWERS = ["invite", "kick", "ban"] as const;

const NAMES = ["one", "two"] as const;
type Name = (typeof NAMES)[number];

const KINDS = [
  "send",
  "forge",
  "edit",
  "redact",
  "redact by sending",
  "react",
  "state",
  "forge state",
  "leave",
  "join",
  ...POWERS,
  "remote says",
  "remote sets",
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  /** Which of the two rooms. */
  readonly room: number;
  /** Which event of the room, from the newest. */
  readonly target: number;
  /** Few, so that they meet. */
  readonly txn: number;
  readonly type: string;
  readonly key: string;
  readonly as: "sender" | "persona" | "other's persona";
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  room: fc.nat(1),
  target: fc.nat(12),
  txn: fc.nat(40),
  type: fc.constantFrom("com.example.a", "m.room.topic"),
  key: fc.constantFrom("", "key"),
  as: fc.constantFrom("sender", "sender", "persona", "other's persona"),
});

interface World {
  readonly service: Service;
  readonly rooms: readonly FakeRoom[];
  readonly clients: Readonly<Record<Name, TenantClient>>;
  /** Whose an event is, by the answer that its sender got. */
  readonly owners: Map<string, Name>;
  /** What was sent. */
  readonly contents: Map<string, string>;
  /** Who redacted an event and was told that it is done. */
  readonly redacted: Map<string, Name>;
  readonly isIn: Readonly<Record<Name, Set<string>>>;
  readonly outcomes: Map<string, number>;
}

async function addTenant(service: Service, name: Name): Promise<TenantClient> {
  const { body } = await service.admin("POST", "/tenants", { id: name, users: `@_${name}_.*`, actions: ACTIONS });
  const { tenant, registration } = body;
  if (!isJsonObject(tenant) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  return new TenantClient(service, name, stringAt(tenant, "sender") ?? "", stringAt(registration, "as_token") ?? "");
}

/** Two rooms: one of other people's, and one that the pseudouser made for the first tenant. */
async function world(service: Service, clients: World["clients"]): Promise<World> {
  const theirs = service.homeserver.makeRoom({ members: [REMOTE] });
  const made = service.homeserver.makeRoom({ creator: PSEUDOUSER, members: [REMOTE] });
  const created = made.append("m.room.create", PSEUDOUSER, { room_version: "11", [OWNER]: "one" }, "");
  const rooms = [theirs, made];
  for (const { id } of rooms) {
    for (const name of NAMES) expect((await clients[name].join(id)).status).toBe(200);
    await service.untilRoom(id, { load: "loaded" });
  }
  const ids = rooms.map(({ id }) => id);
  return {
    service,
    rooms,
    clients,
    owners: new Map([[created.event_id, "one"]]),
    contents: new Map(),
    redacted: new Map(),
    isIn: { one: new Set(ids), two: new Set(ids) },
    outcomes: new Map(),
  };
}

async function take(world: World, name: Name, { kind, room: index, target, txn, type, key, as }: Step): Promise<void> {
  const { service, clients, isIn } = world;
  const room = world.rooms[index]!;
  const client = clients[name];
  const other: Name = name === "one" ? "two" : "one";
  const base = `/rooms/${encodeURIComponent(room.id)}`;
  const txnId = `${txn}-${kind}-${room.id}`.replace(/[^\w-]/g, "");
  const user = as === "sender" ? client.sender : `@_${as === "persona" ? name : other}_ghost:${SERVER}`;
  const put = async (path: string, content: JsonObject): Promise<void> => {
    const answer = await client.ask("PUT", `${base}${path}?user_id=${encodeURIComponent(user)}`, content);
    note(world, name, room, kind, answer);
    if (as === "other's persona") expect(answer.status).toBe(403);
  };
  const sent = (content: JsonObject, ofType = "m.room.message"): Promise<void> =>
    put(`/send/${ofType}/${txnId}`, content);
  const aim = room.timeline.at(-1 - (target % room.timeline.length))!.event_id;
  const body = `by ${name}`;
  switch (kind) {
    case "send":
      return sent({ msgtype: "m.text", body });
    case "forge":
      return sent({ msgtype: "m.text", body, [OWNER]: other });
    case "edit":
      return sent({ msgtype: "m.text", body, "m.relates_to": { rel_type: "m.replace", event_id: aim } });
    case "react":
      return sent({ "m.relates_to": { rel_type: "m.annotation", event_id: aim, key: "+" } }, "m.reaction");
    case "redact by sending":
      return sent({ redacts: aim }, "m.room.redaction");
    case "redact":
      return put(`/redact/${encodeURIComponent(aim)}/${txnId}`, {});
    case "state":
      return put(`/state/${type}/${key}`, { v: txn });
    case "forge state":
      return put(`/state/${type}/${key}`, { v: txn, [OWNER]: other });
    case "join":
      expect((await client.join(room.id)).status).toBe(200);
      isIn[name].add(room.id);
      return;
    case "leave":
      expect((await client.leave(room.id)).status).toBe(200);
      isIn[name].delete(room.id);
      return;
    case "remote says":
      service.homeserver.say(room, REMOTE, "a person's");
      return;
    case "remote sets":
      service.homeserver.send(room, CREATOR, type, { v: "a person's" }, key);
      return;
    default: {
      const answer = await client.ask("POST", `${base}/${kind}`, { user_id: `@victim${txn}:elsewhere.test` });
      count(world, kind, answer);
      if (name === "two" && index === 1) expect(answer.status).not.toBe(200);
    }
  }
}

function count({ outcomes }: World, kind: string, { status }: Answer): void {
  const outcome = `${kind} ${status === 200 ? "done" : "refused"}`;
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

function note(world: World, name: Name, room: FakeRoom, kind: Step["kind"], answer: Answer): void {
  count(world, kind, answer);
  const eventId = stringAt(answer.body, "event_id");
  if (answer.status !== 200 || eventId === null) return;
  // Two tenants that use the same transaction ID have two events.
  expect(world.owners.get(eventId) ?? name).toBe(name);
  const event = room.event(eventId)!;
  world.owners.set(eventId, name);
  if (event.type === "m.room.redaction") world.redacted.set(stringAt(event.content, "redacts") ?? "", name);
  else if (!world.contents.has(eventId)) world.contents.set(eventId, JSON.stringify(event.content));
}

/** What was sent in a tenant's name, by the homeserver's word alone. */
function ownOf(room: FakeRoom): FakeEvent[] {
  return room.timeline.filter(({ sender, type }) => {
    return sender === PSEUDOUSER && type !== "m.room.member" && !type.startsWith("m.room.create");
  });
}

function nothingIsTouched({ rooms, owners, contents, redacted }: World): void {
  for (const room of rooms) {
    const stateOf = new Map<string, Name | undefined>();
    for (const event of room.timeline) {
      const { event_id: id, content, type } = event;
      const owner = owners.get(id);
      const before = contents.get(id);
      // Its content is what was sent, unless its own tenant redacted it.
      if (before !== undefined && JSON.stringify(content) !== before) {
        expect([id, redacted.get(id), content]).toEqual([id, owner, {}]);
      }
      const stateKey = event["state_key"];
      if (typeof stateKey !== "string" || type === "m.room.member") continue;
      // What is set in one's name is replaced in that name, or by other people.
      const former = stateOf.get(`${type} ${stateKey}`);
      if (former !== undefined && owner !== undefined) expect([id, owner]).toEqual([id, former]);
      stateOf.set(`${type} ${stateKey}`, owner);
      if (room === rooms[1] && owner !== undefined) expect([id, owner]).toEqual([id, "one"]);
    }
    for (const { event_id: id, type, content } of ownOf(room)) {
      const owner = owners.get(id);
      if (owner === undefined) continue;
      if (Object.keys(content).length > 0) expect([id, content[OWNER]]).toEqual([id, owner]);
      const relation = content["m.relates_to"];
      const isEdit = isJsonObject(relation) && relation["rel_type"] === "m.replace";
      const touched = type === "m.room.redaction" ? content["redacts"] : isEdit ? relation["event_id"] : undefined;
      if (typeof touched !== "string") continue;
      // A kick is its tenant's, too; the call for it does not name the event.
      const member = room.event(touched)?.type === "m.room.member" ? room.event(touched) : null;
      if (member !== null) expect(member["state_key"]).not.toBe(PSEUDOUSER);
      else expect([id, touched, owner]).toEqual([id, touched, owners.get(touched)]);
    }
  }
}

async function bothAreWhereTheyJoined({ clients, rooms, isIn }: World): Promise<void> {
  const ours = new Set(rooms.map(({ id }) => id));
  for (const name of NAMES) {
    const joined = (await clients[name].joinedRooms()) as string[];
    expect([name, joined.filter((id) => ours.has(id))]).toEqual([name, [...isIn[name]].sort()]);
    for (const room of rooms) if (isIn[name].has(room.id)) expect(room.membership(PSEUDOUSER)).toBe("join");
  }
}

test(
  "whatever two tenants do in the rooms they share, neither touches what is the other's",
  { timeout: 60_000 },
  async () => {
    const service = await startService();
    const clients = { one: await addTenant(service, "one"), two: await addTenant(service, "two") };
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, step), { minLength: 20, maxLength: 40 }), async (steps) => {
        const scene = await world(service, clients);
        for (const [one, two] of steps) {
          await Promise.all([take(scene, "one", one), take(scene, "two", two)]);
          nothingIsTouched(scene);
        }
        await bothAreWhereTheyJoined(scene);
        for (const [outcome, times] of scene.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + times);
        for (const name of NAMES) for (const { id } of scene.rooms) await clients[name].leave(id);
      }),
      { numRuns: roundsOf(24), seed: seedOf(7), endOnFailure: true },
    );
    // It was no quiet time: each of these was done, and refused, too.
    for (const kind of ["send", "edit", "redact", "redact by sending", "state", "kick"]) {
      for (const outcome of ["done", "refused"]) {
        expect([kind, outcome, (outcomes.get(`${kind} ${outcome}`) ?? 0) > 0]).toEqual([kind, outcome, true]);
      }
    }
  },
);
