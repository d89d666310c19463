/** The SDKs of ../software.ts: ghosts with names write, edit, react and redact in a room of another server, and in rooms of their own. */
import { writeFile } from "node:fs/promises";
import { Driver } from "../driver.ts";
import type { Record } from "../record.ts";
import type { Software } from "../software.ts";
import { inside, open, type World } from "../world.ts";

export interface SdkRun {
  readonly software: Software;
  readonly registration: string;
  readonly port: number;
}

export async function runSdk(world: World, { software, registration, port }: SdkRun): Promise<Record> {
  const { names, recorder, person, close } = await open(world, [[/"sentTs":\d+/g, '"sentTs":"THEN"']]);
  const config = inside(world, "driver.json");
  const { homeserver } = world;
  const server = world.home.serverName;
  await writeFile(config, JSON.stringify({ homeserver, server, registration, port, state: world.dir }));
  const driver = new Driver([...software.command, config]);
  const { id, kind } = software;
  const ghost = (name: string): string | null => (kind === "bot" ? null : `@_${id}_${name}:${server}`);
  const self = world.bot;
  // What it makes is told of before it has a name here.
  for (const where of ["cellar", "vault"]) {
    recorder.add({
      name: `the program of ${where}`,
      get seen() {
        const told = driver.told.filter(({ room }) => (names.room(room) === "cellar") === (where === "cellar"));
        return told.map(({ event, type, sender, content }) => {
          return `${event} ${type} of ${names.text(sender)} ${names.told(content)}`;
        });
      },
    });
  }
  const see = (place: string, wanted: RegExp): Promise<string> => recorder.see(place, wanted);
  const step = (name: string, act: () => Promise<void>): Promise<void> => recorder.step(name, act);
  const bob = `bob-${id}`;

  try {
    await driver.start();
    const { user } = await person("away", bob);
    let room = "";
    let [hello, slip] = ["", ""];

    await step("it joins a room of the other server", async () => {
      const alias = `cellar-${id}`;
      room = await user.createRoom({ preset: "public_chat", name: "Cellar", room_alias_name: alias });
      names.nameRoom(room, "cellar");
      for (const name of kind === "bot" ? [] : ["anna", "ben"]) await driver.ask("register", { as: ghost(name) });
      const via = [world.away.serverName];
      await driver.ask("join", { as: null, room: `#${alias}:${world.away.serverName}`, via });
      await see(`${bob} in cellar`, /@BOT join @BOT/);
      await driver.ask("check", { room });
    });

    await step("it speaks as two ghosts, edits, reacts and redacts", async () => {
      await driver.ask("profile", { as: ghost("anna"), name: "Anna" });
      await driver.ask("profile", { as: ghost("ben"), name: "Ben" });
      hello = await driver.ask("send", { as: ghost("anna"), room, text: "hello" });
      await see(`${bob} in cellar`, /m\.text "hello"/);
      slip = await driver.ask("send", { as: ghost("ben"), room, text: "a slip" });
      await see(`${bob} in cellar`, /a slip/);
      await driver.ask("edit", { as: ghost("anna"), room, event: hello, text: "good day" });
      await see(`${bob} in cellar`, /good day/);
      await driver.ask("react", { as: ghost("anna"), room, event: slip, key: "👎" });
      await see(`${bob} in cellar`, /👎/);
      if (kind === "appservice") {
        const again = await driver.ask("react", { as: ghost("ben"), room, event: slip, key: "👎" });
        // Not everybody is shown it, by whom it would be named.
        names.nameEvent(again, "m.reaction");
        await see("the program of cellar", /echo m\.reaction of @\w+_ben:/);
        await driver.ask("redact", { as: ghost("ben"), room, event: again });
        await see("the program of cellar", /echo m\.room\.redaction of @\w+_ben:/);
      }
      await driver.ask("redact", { as: ghost("ben"), room, event: slip });
      await see(`${bob} in cellar`, /m\.room\.redaction of \$”a slip”/);
    });

    await step("it hears somebody", async () => {
      const answer = await user.sendText(room, "who is there?");
      await see("the program of cellar", /heard m\.room\.message .*who is there/);
      const relates = { rel_type: "m.annotation", event_id: answer, key: "👋" };
      await user.sendEvent(room, "m.reaction", { "m.relates_to": relates });
      await see("the program of cellar", /heard m\.reaction/);
      await recorder.quiet();
    });

    await step("it makes a room", async () => {
      const name = `_${id}_cellar`;
      const alias = `#${name}:${server}`;
      const levels = { [self]: 100, ...(kind === "bot" ? {} : { [ghost("anna") ?? ""]: 50 }) };
      const made = await driver.ask("create", { as: null, name, version: "10", levels });
      names.nameRoom(made, "vault");
      await driver.ask("topic", { as: null, room: made, text: "the bot's" });
      await recorder.quiet();
      await user.join(alias, [server]);
      await see(`${bob} in vault`, /join @bob/);
      // Some of the SDKs do not join by themselves to set state.
      if (kind === "appservice") await driver.ask("join", { as: ghost("anna"), room: made, via: [server] });
      await driver.ask("topic", { as: ghost("anna"), room: made, text: "Anna's" });
      await see(`${bob} in vault`, /Anna's/);
      await driver.ask("send", { as: ghost("anna"), room: made, text: "welcome" });
      await see(`${bob} in vault`, /welcome/);
      await user.sendText(made, "thank you");
      await see("the program of vault", /heard m\.room\.message .*thank you/);
      await recorder.quiet();
    });

    await step("it is killed, and started again: it has missed nothing", async () => {
      await driver.kill();
      await user.sendText(room, "gone?");
      await driver.start();
      await see("the program of cellar", /heard m\.room\.message .*gone\?/);
      await driver.ask("send", { as: ghost("anna"), room, text: "not gone" });
      await see(`${bob} in cellar`, /not gone/);
      await recorder.quiet();
    });

    return recorder.record();
  } finally {
    await close();
    await driver.kill();
  }
}
