/**
 * A real Chromium with a client on matrix-js-sdk, behind real proxies with the project's own files: what people see who look into a
 * room of another server. Beside it the same clicks on Synapse alone, in a room of its own.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { MatrixUser } from "../../homeservers/synapse/client.ts";
import { findChromium } from "../browser/chromium.ts";
import { ElementWeb, LOOK, SECOND_LOOK, START } from "../browser/element-web.ts";
import { Person, shapeOf } from "../browser/person.ts";
import { Site } from "../browser/site.ts";
import { buildSquare, listed, named, paint, SAID, upload, WORLD_READABLE, type Square } from "../browser/square.ts";
import { comeBack, joinIn, lookAround } from "../browser/story.ts";
import { FederationRecorder } from "../support/federation-recorder.ts";
import { findProxies, Proxy, type ProxyKind } from "../support/proxy.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const found = await findChromium();
const { here, missing: proxiesMissing } = await findProxies();
const missing = [...proxiesMissing, ...("why" in found ? [{ name: "Chromium", why: found.why }] : [])];
const launch = found.launch;

/** Synapse lists no room by default. */
const LISTED = { room_list_publication_rules: [{ action: "allow" }] };
/** Of what the page wrote, so many lines are shown where something failed. */
const LINES = 20;

const recorder = new FederationRecorder();
let stage: Stage;
let site: Site;
let browser: Browser;
/** In reverse order. */
const closing: (() => Promise<void>)[] = [];
const proxies = new Map<ProxyKind["name"], Proxy>();

interface World {
  readonly bob: MatrixUser;
  readonly carol: MatrixUser;
  readonly mxc: string;
}
let ours: World;
let theirs: World;

async function people(server: Stage["ours"], picture: Buffer): Promise<World> {
  const [bob, carol] = await Promise.all([named(stage, server, "bob", "Bob"), named(stage, server, "carol", "Carol")]);
  return { bob, carol, mxc: await upload(bob, picture) };
}

function squareIn({ bob, carol, mxc }: World, localpart: string, said?: readonly string[]): Promise<Square> {
  return buildSquare(bob, carol, localpart, mxc, said);
}

/** Somebody of our server before the page; what was on the screen is kept where the test fails. */
async function sitDown({ task, onTestFinished }: TestContext, name: string, homeserver: string): Promise<Person> {
  await stage.ours.registerUser(name);
  const person = await Person.sitDown(name, browser, site.url);
  onTestFinished(async () => {
    if (task.result?.state === "fail") {
      console.error([await person.keepPicture(task.name), ...person.console.slice(-LINES)].join("\n"));
    }
    await person.leave();
  });
  await person.signIn(homeserver, name);
  return person;
}

/** Every kind of request with its status, once. */
function kinds({ asked }: Person): string[] {
  return [...new Set(asked.map(({ method, path, status }) => `${method} ${path} ${status}`))].sort();
}

/** What the servers said to each other that has this word in it. */
function naming(word: string): string[] {
  return recorder.exchanges.filter(({ text }) => text.includes(word)).map(({ method, url }) => `${method} ${url}`);
}

/** Until whatever our server had to tell the other one of the room has been told: what somebody who is in it reads goes last. */
async function allTold({ roomId, alias, newest }: Square): Promise<void> {
  const witness = await stage.user(stage.ours, `witness-${/^#([^:]+)/.exec(alias)?.[1] ?? ""}`);
  await witness.join(alias);
  const path = `/_matrix/client/v3/rooms/${roomId}/receipt/m.read/${encodeURIComponent(newest)}`;
  await witness.request("POST", path, {}, {});
  await until(
    "a member's receipt having gone out",
    async () => recorder.exchanges.some(({ text }) => text.includes("m.receipt") && text.includes(witness.userId)),
    (isTold) => isTold,
  );
}

beforeAll(async () => {
  if (launch === null || here.length === 0) return;
  stage = await openStage({ settings: { peek: { idle: "10s" } }, synapse: LISTED, recorder });
  closing.push(() => stage.close());
  [site, browser] = await Promise.all([Site.open(), launch()]);
  closing.push(
    () => site.close(),
    () => browser.close(),
  );
  const picture = await paint(browser);
  [ours, theirs] = await Promise.all([people(stage.ours, picture), people(stage.theirs, picture)]);
  const before = { gateway: new URL(stage.emissary.gatewayUrl).host, homeserver: new URL(stage.ours.url).host };
  for (const kind of here) {
    const proxy = await Proxy.start(kind, before);
    closing.push(() => proxy.end());
    proxies.set(kind.name, proxy);
  }
});
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

describe.runIf(launch !== null && here.length > 0)("somebody with a browser", () => {
  it("sees a room of another server as one of their own, leaves no name there, and joins", async (context) => {
    const control = (async () => {
      const square = await squareIn(ours, "control");
      const person = await sitDown(context, "control-reader", stage.ours.url);
      return { screens: await lookAround(person, square, ""), asked: kinds(person) };
    })();
    const behind = here.map(async (kind) => {
      const localpart = kind.name.toLowerCase();
      const name = `reader-${localpart}`;
      const square = await squareIn(theirs, `square-${localpart}`);
      const person = await sitDown(context, name, proxies.get(kind.name)?.url ?? "");
      const screens = await lookAround(person, square, stage.theirs.serverName);
      const asked = kinds(person);
      expect(await square.owner.joinedMembers(square.roomId)).toContain(stage.pseudouser);
      expect(recorder.text).toContain(stage.pseudouser);
      expect(naming(name)).toEqual([]);
      return { screens, asked, joined: await joinIn(person, square), name };
    });
    const { screens, asked } = await control;
    expect(screens).toMatchObject({
      directory: ["What is new · 2 members"],
      name: "The square",
      topic: "What is new",
      bar: "Join the discussion",
      whole: [...SAID, "spelt right", "colours.png"],
      reactions: ["+1 1"],
      people: ["Bob", "Carol"],
      threads: ["word 21 (2)"],
      thread: ["word 21", "first reply", "second reply"],
      senders: ["Bob", "Carol", "Carol"],
    });
    for (const told of await Promise.all(behind)) {
      // The pseudouser's coming is one of the newest twenty events, and is not shown.
      expect([screens.newest, screens.newest.slice(1)]).toContainEqual(told.screens.newest);
      expect({ ...told.screens, newest: null }).toEqual({ ...screens, newest: null });
      expect(told.asked).toEqual(asked);
      expect(told.joined).toEqual(["Bob", "Carol", told.name]);
    }
  });
});

/** Where one proxy is enough. */
function address(): string {
  return [...proxies.values()][0]?.url ?? "";
}

describe.runIf(launch !== null && here.length > 0)("Element Web's requests", () => {
  it("are answered for a room of another server as for one's own, and none names who looks", async () => {
    const run = async (world: World, localpart: string, homeserverUrl: string, directory: string) => {
      const square = await squareIn(world, `room-${localpart}`, SAID.slice(0, 6));
      const { userId, accessToken } = await stage.user(stage.ours, `element-${localpart}`);
      const element = new ElementWeb(new MatrixUser({ homeserverUrl, userId, accessToken }), square, directory);
      return element.run([...START, ...LOOK]);
    };
    const behind = [...proxies].map(([name, { url }]) => run(theirs, name.toLowerCase(), url, stage.theirs.serverName));
    const [control, ...others] = await Promise.all([run(ours, "alone", stage.ours.url, ""), ...behind]);
    for (const shapes of others) expect(shapes).toEqual(control);
    expect(naming("element-")).toEqual([]);
  });

  it("are those of its SDK: the page asks for nothing that the table has not", async (context) => {
    const square = await squareIn(theirs, "table", SAID.slice(0, 6));
    const person = await sitDown(context, "table-reader", address());
    await lookAround(person, square, stage.theirs.serverName);
    const inTable = new Set([...START, ...LOOK].map(({ line }) => shapeOf(line)));
    const missing = person.asked.map(({ method, path }) => `${method} ${path}`).filter((line) => !inTable.has(line));
    expect([...new Set(missing)].sort()).toEqual([
      "GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
      "POST /_matrix/client/v3/login",
    ]);
  });
});

describe.runIf(launch !== null && here.length > 0)("the ways into a room of another server", () => {
  const quiet = { preset: "public_chat", name: "The yard", initial_state: [WORLD_READABLE] };

  it("one that is not for everybody is said to be so, and may be joined", async (context) => {
    const roomId = await theirs.bob.createRoom({ preset: "public_chat", room_alias_name: "members-only" });
    const person = await sitDown(context, "way-closed", address());
    await person.followLink(`#/room/#members-only:${stage.theirs.serverName}`);
    await person.sees("can't be previewed", "#notice");
    await person.click("Join the discussion");
    await person.page.getByLabel("message").waitFor();
    expect(await theirs.bob.joinedMembers(roomId)).toEqual(
      [theirs.bob.userId, `@way-closed:${stage.ours.serverName}`].sort(),
    );
  });

  it("the directory leads into one that has no address", async (context) => {
    const roomId = await theirs.bob.createRoom({ ...quiet, visibility: "public", topic: "nameless" });
    await theirs.bob.sendText(roomId, "from the directory");
    await listed(theirs.bob, "nameless", roomId);
    const person = await sitDown(context, "way-directory", address());
    await person.search(stage.theirs.serverName, "nameless");
    await person.click("View");
    await person.sees("from the directory");
  });

  it("a space leads into its rooms", async (context) => {
    const child = await theirs.bob.createRoom(quiet);
    await theirs.bob.sendText(child, "inside the space");
    const space = await theirs.bob.createRoom({
      ...quiet,
      name: "The quarter",
      room_alias_name: "quarter",
      creation_content: { type: "m.space" },
    });
    await theirs.bob.sendState(space, "m.space.child", { via: [stage.theirs.serverName] }, child);
    const person = await sitDown(context, "way-space", address());
    await person.followLink(`#/room/#quarter:${stage.theirs.serverName}`);
    await person.sees("The quarter", "header h1");
    await person.click("Rooms");
    await person.click("View");
    await person.sees("inside the space");
  });

  it("a link leads into one whose ID names its server", async (context) => {
    const roomId = await theirs.bob.createRoom({ ...quiet, room_version: "10" });
    await theirs.bob.sendText(roomId, "by a link");
    const person = await sitDown(context, "way-link", address());
    await person.followLink(`#/room/${roomId}?via=${stage.theirs.serverName}`);
    await person.sees("by a link");
  });
});

describe.runIf(launch !== null && here.length > 0)("somebody who comes back to a room", () => {
  it("tells nobody over there what they read", async (context) => {
    const square = await squareIn(theirs, "again", SAID.slice(0, 6));
    const person = await sitDown(context, "returning", address());
    await person.search(stage.theirs.serverName, "again");
    await person.click("View");
    await person.sees("colours.png");
    await comeBack(person, square, stage.theirs.serverName);
    await person.sees("colours.png");
    const { userId, accessToken } = await stage.user(stage.ours, "element-again");
    const asking = new MatrixUser({ homeserverUrl: address(), userId, accessToken });
    const element = new ElementWeb(asking, square, stage.theirs.serverName);
    expect((await element.run(SECOND_LOOK)).map(([, status]) => status)).toEqual([200, 200, 200]);
    await allTold(square);
    expect(naming("returning")).toEqual([]);
    expect(naming("element-again")).toEqual([]);
  });
});

describe.each(missing)("$name, which is not here: $why", ({ why }) => {
  it.skipIf(process.env["CI"] !== "true")("is left out", () => expect.fail(why));
});
