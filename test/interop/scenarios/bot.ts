/**
 * A bot with a stored access token, in a public room, a group and a direct chat: it answers there, is stopped and started again,
 * and still knows its rooms.
 */
import { writeFile } from "node:fs/promises";
import type { MatrixUser } from "../../../homeservers/synapse/client.ts";
import { Program } from "../process.ts";
import type { Record } from "../record.ts";
import { inside, open, type World } from "../world.ts";

export interface BotProgram {
  /** Without the file of its configuration, which comes last. */
  readonly command: readonly string[];
  readonly ready: RegExp;
  readonly token: string;
  /** What people say to it, and in how many words it is answered. */
  readonly talk: {
    readonly inGroup: readonly Exchange[];
    readonly inPrivate: readonly Exchange[];
    /** The question which rooms it knows. */
    readonly rooms: string;
  };
  /** A name for the rooms and people of its own. */
  readonly id: string;
}

export type Exchange = readonly [said: string, answered: RegExp];

export async function runBot(world: World, bot: BotProgram): Promise<Record> {
  const { names, recorder, person, close } = await open(world);
  const config = inside(world, "config.json");
  const { homeserver } = world;
  await writeFile(config, JSON.stringify({ homeserver, user: world.bot, token: bot.token, state: world.dir }));
  const program = new Program({ command: [...bot.command, config], ready: bot.ready });
  const alice = `ada-${bot.id}`;
  const bob = `ben-${bot.id}`;
  const say = (user: MatrixUser, room: string, body: string): Promise<string> =>
    user.sendText(names.roomNamed(room) ?? "", body);
  const see = (place: string, wanted: RegExp): Promise<string> => recorder.see(place, wanted);
  const step = (name: string, act: () => Promise<void>): Promise<void> => recorder.step(name, act);
  const talk = async (user: MatrixUser, who: string, room: string, exchanges: readonly Exchange[]): Promise<void> => {
    for (const [said, answered] of exchanges) {
      recorder.catchUp(`${who} in ${room}`);
      await say(user, room, said);
      await see(`${who} in ${room}`, answered);
    }
    await recorder.quiet();
  };

  try {
    await program.start();
    const { user: ada } = await person("home", alice);
    const { user: ben } = await person("away", bob);

    await step("it is invited into a public room, and answers there", async () => {
      const room = { preset: "public_chat", name: "Hall", room_alias_name: `hall-${bot.id}` };
      names.nameRoom(await ada.createRoom(room), "hall");
      await ben.join(`#hall-${bot.id}:${world.home.serverName}`);
      await see(`${bob} in hall`, /join @ben/);
      await ada.invite(names.roomNamed("hall") ?? "", world.bot);
      await see(`${alice} in hall`, /@BOT join @BOT/);
      await recorder.quiet();
      await talk(ada, alice, "hall", bot.talk.inGroup);
      await talk(ben, bob, "hall", bot.talk.inGroup);
    });

    await step("it is invited into a private group", async () => {
      const group = { preset: "private_chat", name: "Group", invite: [ben.userId] };
      names.nameRoom(await ada.createRoom(group), "group");
      await see(`${bob} in group`, /is invited/);
      await ben.join(names.roomNamed("group") ?? "", [world.home.serverName]);
      await see(`${alice} in group`, /join @ben/);
      await ada.invite(names.roomNamed("group") ?? "", world.bot);
      await see(`${alice} in group`, /@BOT join @BOT/);
      await recorder.quiet();
      await talk(ada, alice, "group", bot.talk.inGroup);
    });

    await step("it is invited into a direct chat", async () => {
      const direct = { preset: "trusted_private_chat", is_direct: true, invite: [world.bot] };
      names.nameRoom(await ada.createRoom(direct), "direct");
      await see(`${alice} in direct`, /@BOT join @BOT/);
      await recorder.quiet();
      await talk(ada, alice, "direct", bot.talk.inPrivate);
    });

    await step("it is killed, and started again: it knows its rooms, and answers where it is asked", async () => {
      await program.end("SIGKILL");
      await program.start();
      await recorder.quiet();
      await say(ada, "group", bot.talk.rooms);
      await see(`${alice} in group`, /Hall.*/);
      await talk(ada, alice, "group", bot.talk.inGroup);
      await talk(ben, bob, "hall", bot.talk.inGroup);
      await talk(ada, alice, "direct", bot.talk.inPrivate);
    });

    await step("it is shown out", async () => {
      await ada.kick(names.roomNamed("hall") ?? "", botIn(world), "enough");
      await see(`${alice} in hall`, /leave @BOT/);
      await say(ada, "hall", bot.talk.inGroup[0]?.[0] ?? "");
      await say(ada, "group", bot.talk.rooms);
      await see(`${alice} in group`, /@BOT m\.text "Group|@BOT m\.text "(?!Hall).*Group/);
      await recorder.quiet();
    });

    return recorder.record();
  } catch (error) {
    throw new Error(`${String(error)}\n${bot.id} wrote:\n${program.output.slice(-4_000)}`, { cause: error });
  } finally {
    await close();
    await program.end("SIGKILL");
  }
}

/** The member that stands for the bot. */
function botIn({ bot, pseudouser }: World): string {
  return pseudouser ?? bot;
}
