/** From a clone to two homeservers and a running Emissary. */
import { mkdtemp, rm } from "node:fs/promises";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { MatrixUser } from "../homeservers/synapse/client.ts";
import { ensureSynapse } from "../homeservers/synapse/environment.ts";
import { startPair } from "../homeservers/synapse/pair.ts";
import type { ServerAddress } from "../homeservers/synapse/pair.ts";
import { freePorts } from "../homeservers/synapse/ports.ts";
import type { Synapse } from "../homeservers/synapse/synapse.ts";
import { build } from "../scripts/build.ts";
import { Actor, CLIENT_API } from "./actor.ts";
import { Emissary } from "./emissary.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";

export const LINGER_S = 5;
export const OURS = "our homeserver";
export const OTHER = "the other homeserver";

export type World = {
  readonly ours: Synapse;
  readonly other: Synapse;
  readonly emissary: Emissary;
  /** A user of ours. */
  readonly alice: Actor;
  /** A user of the other homeserver. */
  readonly bob: Actor;
};

export async function setUp(stage: Stage, screen: Screen): Promise<World> {
  screen.heading("Setting up");
  screen.sentence(
    "Two real homeservers (Synapse) on this machine, and Emissary beside one of them. Nothing outside this machine takes part; packages are downloaded the first time.",
  );
  // Held although there is nothing to undo: what is being installed or built is waited for, not left half done.
  const built = await stage.hold(() => screen.during("building Emissary (src → dist)", build()));
  if (!built.ok) throw new Error(`Emissary does not build:\n${built.output}`);
  screen.note("looking for Synapse in the cache …");
  const { python } = await stage.hold(() => ensureSynapse({ log: (line) => screen.note(line) }));
  const dir = await makeScratch(stage, screen);
  const [appservice = 0, gateway = 0, admin = 0] = await freePorts(3);
  const emissary = new Emissary(dir, { appservice, gateway, admin });

  const pair = await stage.hold(
    () => {
      const prepare = async ({ alpha }: { alpha: ServerAddress }) => {
        await register(emissary, alpha, screen);
        screen.note("starting two homeservers …");
        return { alphaRegistrations: [emissary.registration] };
      };
      return screen.whileStill("starting two homeservers", startPair({ dir, python, prepare }));
    },
    (started) => started.stop(),
    (started) => {
      void started.alpha.kill();
      void started.beta.kill();
    },
  );
  const { alpha: ours, beta: other } = pair;
  await startEmissary(emissary, stage, screen);

  const alice = new Actor("alice", await newUser(ours, "alice"), OURS, screen);
  const bob = new Actor("bob", await newUser(other, "bob"), OTHER, screen);
  screen.nameColors({ [ours.serverName]: "cyan", [other.serverName]: "magenta" });
  screen.sentence("");
  screen.sentence(`${ours.serverName} is our homeserver, with Emissary and the user alice.`);
  screen.sentence(`${other.serverName} is the other homeserver, with the user bob. The two federate.`);
  screen.sentence("");
  screen.sentence(
    `What follows are real requests and the real answers. Paths begin with ${CLIENT_API}; long IDs and tokens are cut short (…).`,
  );
  return { ours, other, emissary, alice, bob };
}

/** Kept where something failed, so that the logs in it can be read. */
async function makeScratch(stage: Stage, screen: Screen): Promise<string> {
  return stage.hold(
    () => mkdtemp(path.join(tmpdir(), "emissary-demo-")),
    async (dir) => {
      if (screen.failed === 0) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
      else screen.farewell(`Kept, with the logs: ${dir} (emissary.log; alpha/hs.log: ours; beta/hs.log: the other)`);
    },
    (dir) => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }),
  );
}

async function register(emissary: Emissary, homeserver: ServerAddress, screen: Screen): Promise<void> {
  const args = emissary.registerArgs(homeserver);
  screen.command(`bin/emissary ${args.join(" ")}`);
  const { exitCode, stdout, stderr } = await emissary.run(args);
  if (exitCode !== 0) throw new Error(`emissary register ended with exit code ${exitCode}:\n${stderr}`);
  screen.output(stdout.split("\n")[0] ?? "");
  await emissary.adaptConfig(`${LINGER_S}s`);
  screen.note(`emissary.yaml gets free ports and attendance.linger: ${LINGER_S}s, for this demo`);
  screen.note("our homeserver is given registration.yaml");
}

async function startEmissary(emissary: Emissary, stage: Stage, screen: Screen): Promise<void> {
  screen.command(`bin/emissary run --config ${emissary.config}`);
  await stage.hold(
    async () => emissary.start(),
    () => emissary.stop(),
    () => emissary.kill(),
  );
  await screen.during("waiting until Emissary is ready", emissary.untilReady());
}

async function newUser(server: Synapse, localpart: string): Promise<MatrixUser> {
  return new MatrixUser({ homeserverUrl: server.url, ...(await server.registerUser(localpart)) });
}
