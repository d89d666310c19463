/**
 * heisenbridge from its README's first steps on: alice, who owns it, and people on IRC. What it does is judged by what they see.
 */
import type { MatrixUser } from "../../../homeservers/synapse/client.ts";
import { IrcPerson, Ngircd } from "../ngircd.ts";
import { Program } from "../process.ts";
import type { Record } from "../record.ts";
import { open, type World } from "../world.ts";
import { settled } from "./heisenbridge-order.ts";

const NETWORK = "irwin";
const LOUNGE = `#lounge (${NETWORK})`;

export interface Bridge {
  readonly python: string;
  readonly registration: string;
  readonly port: number;
  readonly ngircd: { readonly binary: string; readonly env: NodeJS.ProcessEnv };
}

export async function runHeisenbridge(world: World, bridge: Bridge): Promise<Record> {
  const ids: [string | RegExp, string][] = [
    // Made of the owner's ID, with the server's name in it.
    [/\bm-[a-z2-7]{6}\b/g, "m-IDENT"],
    [/\w{3} \w{3} +\d+ (\d{4} at )?\d\d:\d\d:\d\d( \(\w+\)| \d{4} UTC)?/g, "THEN"],
  ];
  const { names, recorder, person, close } = await open(world, ids);
  const ircd = await Ngircd.start(bridge.ngircd, world.dir);
  ids.push([String(ircd.port), "IRCPORT"]);
  const program = new Program({
    command: [
      ...[bridge.python, "-B", "-u", "-m", "heisenbridge", "-v", "-c", bridge.registration],
      ...["-l", "127.0.0.1", "-p", String(bridge.port), world.homeserver],
    ],
    ready: /bridge is now running!/,
  });
  const people: IrcPerson[] = [];
  const onIrc = async (nick: string): Promise<IrcPerson> => {
    const one = await IrcPerson.connect(ircd.port, nick);
    people.push(one);
    recorder.add({ name: `${nick} on IRC`, seen: one.seen });
    return one;
  };
  const say = (user: MatrixUser, room: string, body: string): Promise<string> =>
    user.sendText(names.roomNamed(room) ?? "", body);
  const see = (place: string, wanted: RegExp): Promise<string> => recorder.see(place, wanted);
  const step = (name: string, act: () => Promise<void>): Promise<void> => recorder.step(name, act);

  try {
    await program.start();
    const { user: alice } = await person("home", "alice");
    /** Only when all that makes the room is done, so that two runs have it in the same order. */
    const accept = async (room: string): Promise<void> => {
      await see(`alice in ${room}`, /is invited/);
      await recorder.quiet();
      await alice.join(names.roomNamed(room) ?? "");
    };
    const carol = await onIrc("carol");
    const dave = await onIrc("dave");

    await step("alice opens a chat with the bridge", async () => {
      const direct = { preset: "trusted_private_chat", is_direct: true, invite: [world.bot] };
      names.nameRoom(await alice.createRoom(direct), "control");
      await see("alice in control", /@BOT join @BOT/);
      await see("alice in control", /Howdy, stranger/);
      await see("alice in control", /To get more help/);
    });

    await step("alice adds a network with a server", async () => {
      await say(alice, "control", `ADDNETWORK ${NETWORK}`);
      await see("alice in control", /Network added/);
      await say(alice, "control", `ADDSERVER ${NETWORK} 127.0.0.1 ${ircd.port}`);
      await see("alice in control", /Server added/);
      await say(alice, "control", `SERVERS ${NETWORK}`);
      await see("alice in control", /IRCPORT/);
    });

    await step("alice opens the network, and connects", async () => {
      await say(alice, "control", `OPEN ${NETWORK}`);
      await see("alice in control", /You have been invited/);
      await accept(NETWORK);
      await see(`alice in ${NETWORK}`, /To get more help/);
      await say(alice, NETWORK, "CONNECT");
      await see(`alice in ${NETWORK}`, /End of MOTD/);
    });

    await step("alice joins a channel", async () => {
      carol.say("JOIN #lounge");
      await see("carol on IRC", /carol JOIN/);
      await say(alice, NETWORK, "JOIN #lounge");
      await see("carol on IRC", /alice JOIN/);
      await accept(LOUNGE);
      await see(`alice in ${LOUNGE}`, /Synchronizing members/);
      await see(`alice in ${LOUNGE}`, /skipping invites/);
    });

    await step("they talk, in both directions", async () => {
      carol.say("PRIVMSG #lounge :hello from IRC");
      await see(`alice in ${LOUNGE}`, /hello from IRC/);
      await say(alice, LOUNGE, "hello from Matrix");
      await see("carol on IRC", /hello from Matrix/);
      carol.say("PRIVMSG #lounge :\u0001ACTION waves\u0001");
      await see(`alice in ${LOUNGE}`, /m\.emote "waves"/);
      carol.say("PRIVMSG #lounge :\u0002alice\u0002: bold, for you");
      await see(`alice in ${LOUNGE}`, /bold, for you/);
      await recorder.quiet();
    });

    await step("alice edits, and is heard so", async () => {
      const slip = await say(alice, LOUNGE, "a slip of teh pen");
      await see("carol on IRC", /teh pen/);
      await alice.sendEvent(names.roomNamed(LOUNGE) ?? "", "m.room.message", {
        msgtype: "m.text",
        body: "* a slip of the pen",
        "m.new_content": { msgtype: "m.text", body: "a slip of the pen" },
        "m.relates_to": { rel_type: "m.replace", event_id: slip },
      });
      await see("carol on IRC", /the/);
    });

    await step("people come, change their nick, set a topic, kick and go", async () => {
      dave.say("JOIN #lounge");
      await see("carol on IRC", /dave JOIN/);
      dave.say("PRIVMSG #lounge :I am dave");
      await see(`alice in ${LOUNGE}`, /I am dave/);
      dave.say("NICK david");
      await see("carol on IRC", /dave NICK/);
      dave.say("PRIVMSG #lounge :now david");
      await see(`alice in ${LOUNGE}`, /now david/);
      carol.say("TOPIC #lounge :a new topic");
      await see(`alice in ${LOUNGE}`, /carol changed the topic/);
      carol.say("MODE #lounge +v david");
      await see(`alice in ${LOUNGE}`, /voice|\+v/);
      carol.say("KICK #lounge david :behave");
      await see("dave on IRC", /KICK #lounge david/);
      await recorder.quiet();
    });

    await step("alice becomes an operator, and kicks", async () => {
      dave.say("JOIN #lounge");
      carol.say("MODE #lounge +o alice");
      await see(`alice in ${LOUNGE}`, /\+o|gave/);
      await say(alice, LOUNGE, `${localpartOf(world.bot)}: KICK david out`);
      await see("dave on IRC", /alice KICK #lounge david/);
      await say(alice, LOUNGE, `${localpartOf(world.bot)}: TOPIC a topic of alice`);
      await see("carol on IRC", /a topic of alice/);
      await recorder.quiet();
    });

    await step("they write to each other in private", async () => {
      await say(alice, NETWORK, "QUERY carol psst");
      await see("carol on IRC", /psst/);
      await accept(`carol (${NETWORK})`);
      carol.say("PRIVMSG alice :what is it?");
      await see(`alice in carol (${NETWORK})`, /what is it/);
      await say(alice, `carol (${NETWORK})`, "nothing");
      await see("carol on IRC", /nothing/);
      dave.say("PRIVMSG alice :and I?");
      await accept(`david (${NETWORK})`);
      await see(`alice in david (${NETWORK})`, /and I/);
      await recorder.quiet();
    });

    await step("alice changes her nick", async () => {
      await say(alice, NETWORK, "NICK alicia");
      await see("carol on IRC", /alice NICK :alicia/);
      await see(`alice in ${NETWORK}`, /now known as alicia/);
      await recorder.quiet();
    });

    const { user: bill } = await person("away", "bill");
    await step("alice plumbs a room, in which somebody of another server is, too", async () => {
      await bill.setDisplayname("Bill");
      const plumbed = await alice.createRoom({ preset: "public_chat", name: "plumbed", room_alias_name: "plumbed" });
      names.nameRoom(plumbed, "plumbed");
      await bill.join(`#plumbed:${world.home.serverName}`);
      carol.say("JOIN #town");
      await see("carol on IRC", /carol JOIN :?#town/);
      await say(alice, NETWORK, `PLUMB ${plumbed} #town`);
      await see("bill in plumbed", /@BOT join @BOT/);
      await see("carol on IRC", /alicia JOIN :?#town/);
      await say(bill, "plumbed", "hello, town");
      await see("carol on IRC", /<Bill> hello, town/);
      carol.say("PRIVMSG #town :hello, Bill");
      await see("bill in plumbed", /hello, Bill/);
      await see("alice in plumbed", /hello, Bill/);
      await recorder.quiet();
    });

    await step("the bridge is killed, and started again: it knows all its rooms", async () => {
      await program.end("SIGKILL");
      await see("carol on IRC", /alicia QUIT/);
      await program.start();
      await see("carol on IRC", /alicia JOIN :?#lounge/);
      await see("carol on IRC", /alicia JOIN :?#town/);
      carol.say("PRIVMSG #lounge :still there?");
      await see(`alice in ${LOUNGE}`, /still there/);
      await say(alice, LOUNGE, "as before");
      await see("carol on IRC", /as before/);
      await say(bill, "plumbed", "and I");
      await see("carol on IRC", /<Bill> and I/);
      await say(alice, "control", "STATUS");
      await see("alice in control", /known users/);
      carol.say("PRIVMSG alicia :in private, too?");
      await see(`alice in carol (${NETWORK})`, /in private, too/);
      await recorder.quiet();
    });

    await step("alice leaves the channel", async () => {
      await alice.leave(names.roomNamed(LOUNGE) ?? "");
      await see("carol on IRC", /alicia PART #lounge/);
      await recorder.quiet();
    });

    await step("alice ends the plumbing, as she was told to: she kicks the bridge out", async () => {
      await alice.kick(names.roomNamed("plumbed") ?? "", world.pseudouser ?? world.bot, "enough");
      await see("bill in plumbed", /leave @BOT/);
      await see("carol on IRC", /alicia PART #town/);
      await recorder.quiet();
    });

    await step("she quits", async () => {
      // First, since the bridge does not wait for its last words in a room before it leaves it.
      await say(alice, NETWORK, "DISCONNECT");
      await see(`alice in ${NETWORK}`, /Disconnected\./);
      await say(alice, "control", "QUIT");
      await see("alice in control", /Goodbye/);
      await see(`alice in ${NETWORK}`, /@BOT leave @BOT/);
      await see("alice in control", /@BOT leave @BOT/);
      await recorder.quiet();
    });

    return settled(recorder.record());
  } catch (error) {
    throw new Error(`${String(error)}\nheisenbridge wrote:\n${program.output.slice(-6_000)}`, { cause: error });
  } finally {
    await close();
    for (const one of people) one.end();
    await program.end("SIGKILL");
    await ircd.stop();
  }
}

function localpartOf(userId: string): string {
  return userId.slice(1, userId.indexOf(":"));
}
