/** What people do who come upon a room: the same clicks before every homeserver, and what they then have on the screen. */
import { until } from "../support/stage.ts";
import type { Person } from "./person.ts";
import { SAID, type Square } from "./square.ts";

export interface Screens {
  readonly directory: readonly string[];
  readonly name: string;
  readonly topic: string;
  readonly bar: string;
  readonly newest: readonly string[];
  readonly whole: readonly string[];
  readonly reactions: readonly string[];
  /** Who speaks in the thread. */
  readonly senders: readonly string[];
  readonly people: readonly string[];
  readonly threads: readonly string[];
  readonly thread: readonly string[];
}

/** From the directory into the room, and all around in it. `server` is whose directory is asked, none for one's own. */
export async function lookAround(person: Person, square: Square, server: string): Promise<Screens> {
  const [, localpart = ""] = /^#([^:]+)/.exec(square.alias) ?? [];
  const directory = await person.search(server, localpart);
  await person.click("View");
  await person.sees("colours.png");
  await person.seesPicture("header img.avatar");
  await person.seesPicture(".message img.image");
  const seen = {
    directory,
    name: await person.text("header h1"),
    topic: await person.text("#topic"),
    bar: await person.text("#preview-bar"),
    newest: await person.texts("#timeline .text"),
    reactions: await person.texts(".reaction"),
  };
  await hearLive(person, square);
  for (let page = 0; page < 5 && !(await person.texts("#timeline .text")).includes(SAID[0] ?? ""); page += 1) {
    const before = person.asked.length;
    await person.click("Older");
    await until(
      "an older page",
      async () => person.asked.slice(before).map(({ path }) => path),
      (paths) => paths.some((path) => path.endsWith("/messages")),
    );
  }
  await person.sees(/^word 1$/);
  const whole = (await person.texts("#timeline .text")).filter((text) => !text.startsWith("live"));
  await person.click("People");
  await person.sees("Bob", "#people li");
  const people = await person.texts("#people li");
  await person.click("Threads");
  await person.sees("word", "#threads li");
  const threads = await person.texts("#threads li");
  await person.click(/\(2\)$/);
  await person.sees("second reply", "#thread .text");
  return {
    ...seen,
    whole,
    people,
    threads,
    thread: await person.texts("#thread .text"),
    senders: await person.texts("#thread .sender"),
  };
}

/** A poll that had not begun when something was said does not hear of it: it is said until it is on the screen. */
async function hearLive(person: Person, { owner, roomId }: Square): Promise<void> {
  let said = 0;
  await until(
    "a live message",
    async () => {
      await owner.sendText(roomId, `live ${(said += 1)}`);
      await person.page.waitForTimeout(300);
      return person.texts("#timeline .text");
    },
    (texts) => texts.some((text) => text.startsWith("live")),
  );
}

/** Joins from the preview and says something. Answers with who is in the room, by the screen. */
export async function joinIn(person: Person, { owner, roomId }: Square): Promise<readonly string[]> {
  await person.click("Join the discussion");
  await person.page.getByLabel("message").fill("here I am");
  await person.click("Send");
  await owner.waitForMessage(roomId, (event) => event.content["body"] === "here I am");
  await person.sees("here I am");
  await person.sees("The square", "#rooms li");
  await person.click("People");
  await person.sees("Bob", "#people li");
  return person.texts("#people li");
}

/** Away and back again: a room that the client knows, and of which it tells what was read. */
export async function comeBack(person: Person, square: Square, server: string): Promise<void> {
  const [, localpart = ""] = /^#([^:]+)/.exec(square.alias) ?? [];
  await person.click("Home");
  await person.sees("Welcome", "#notice");
  const before = person.asked.length;
  await person.search(server, localpart);
  await person.click("View");
  await until(
    "what the client tells of its reading",
    async () => person.asked.slice(before).map(({ path }) => path),
    (paths) => [/\/receipt\/m\.read\//, /\/read_markers$/].every((one) => paths.some((path) => one.test(path))),
  );
}
