/** Where a scenario takes place: the same for a program under Emissary and for one that a Synapse serves directly. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { MatrixUser } from "../../homeservers/synapse/client.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { Names, type Cast } from "./names.ts";
import { Recorder } from "./record.ts";
import { Seat } from "./seat.ts";

export interface World {
  /** The program's server, and one that federates with it. */
  readonly home: Synapse;
  readonly away: Synapse;
  /** What the program is given for its homeserver. */
  readonly homeserver: string;
  /** The user that people invite. */
  readonly bot: string;
  /** Further users that stand for the program: the pseudouser. */
  readonly pseudouser: string | null;
  /** A folder of this run. */
  readonly dir: string;
  /** Whether it is the run that is judged, and goes on where something does not come about. */
  readonly goesOn: boolean;
}

export interface Opening {
  readonly names: Names;
  readonly recorder: Recorder;
  /** A person with a client that is open. */
  readonly person: (
    where: "home" | "away",
    localpart: string,
  ) => Promise<{ readonly user: MatrixUser; readonly seat: Seat }>;
  readonly close: () => Promise<void>;
}

/** The people and the recorder of a scenario. */
export async function open(world: World, texts: Cast["texts"] = []): Promise<Opening> {
  await mkdir(world.dir, { recursive: true });
  const { bot, pseudouser } = world;
  const names = new Names({ ours: world.home.serverName, theirs: world.away.serverName, bot, pseudouser, texts });
  const recorder = new Recorder(names, { goesOn: world.goesOn });
  const seats: Seat[] = [];
  return {
    names,
    recorder,
    async person(where, localpart) {
      const server = world[where];
      const user = new MatrixUser({ homeserverUrl: server.url, ...(await server.registerUser(localpart)) });
      const seat = new Seat(localpart, user, names);
      recorder.add(seat);
      seats.push(seat);
      seat.sitDown();
      return { user, seat };
    },
    async close() {
      await Promise.all(seats.map((seat) => seat.standUp()));
    },
  };
}

/** A file or folder of a run. */
export function inside(world: World, name: string): string {
  return path.join(world.dir, name);
}
