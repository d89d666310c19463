import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MatrixUser, type Json } from "../../homeservers/synapse/client.ts";
import { startPair, type Pair } from "../../homeservers/synapse/pair.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";
import { Emissary } from "./emissary.ts";
import type { FederationRecorder } from "./federation-recorder.ts";

/** Short enough for a test to see the pseudouser leave, long enough not to see it by accident. */
export const LINGER_MS = 1_500;

/**
 * Two real Synapses that federate, and Emissary beside the first. `ours` is the server whose pseudouser it is, `theirs` the
 * other one, which knows nothing of Emissary.
 */
export interface Stage {
  readonly dir: string;
  readonly ours: Synapse;
  readonly theirs: Synapse;
  readonly emissary: Emissary;
  readonly pseudouser: string;
  /** Registers a user on a server. */
  user(server: Synapse, localpart: string): Promise<MatrixUser>;
  /** What our homeserver answers when the pseudouser asks, with our own token and not through Emissary. */
  askAsPseudouser<T = Json>(path: string): Promise<T>;
  /** A tenant's view: the gateway in a homeserver's place. */
  tenant(id: string, ...options: string[]): Promise<MatrixUser>;
  close(): Promise<void>;
}

export async function openStage(
  options: {
    readonly localpart?: string;
    /** Namespaces of tenants' personas, as regular expressions for localparts, or of aliases with their `#`, that the registration keeps people from. */
    readonly reserve?: readonly string[];
    /** Whether the homeserver tells of invites of its users. */
    readonly watchInvites?: boolean;
    /** Sections of emissary.yaml. */
    readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    /** Settings of both Synapses. */
    readonly synapse?: Readonly<Record<string, unknown>>;
    /** Writes registrations that the other server has, and gives their paths. */
    readonly control?: (server: { readonly serverName: string; readonly dir: string }) => Promise<readonly string[]>;
    /** Listens to what the two say to each other. */
    readonly recorder?: FederationRecorder;
  } = {},
): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), "emissary-e2e-"));
  const python = process.env["EMISSARY_SYNAPSE_PYTHON"];
  const localpart = options.localpart ?? "";
  let emissary: Emissary | undefined;
  let pair: Pair | undefined;
  const close = async (): Promise<void> => {
    await emissary?.end();
    await pair?.stop();
    await options.recorder?.stop();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    pair = await startPair({
      dir,
      ...(options.synapse === undefined ? {} : { settings: options.synapse }),
      ...(options.recorder === undefined ? {} : { fronts: await options.recorder.reserve() }),
      ...(python === undefined ? {} : { python }),
      prepare: async ({ alpha, beta }) => {
        const home = join(dir, "emissary");
        await mkdir(home);
        emissary = await Emissary.register({
          dir: home,
          homeserverUrl: alpha.url,
          serverName: alpha.serverName,
          ...(localpart === "" ? {} : { localpart }),
          ...(options.watchInvites === undefined ? {} : { watchInvites: options.watchInvites }),
          ...(options.reserve === undefined
            ? {}
            : {
                reserve: options.reserve.map(
                  (regex) => `^${regex.startsWith("#") ? "" : "@"}${regex}:${alpha.serverName}$`,
                ),
              }),
          settings: { attendance: { linger: `${LINGER_MS}ms` }, aliases: { keep: false }, ...options.settings },
        });
        const betaRegistrations = (await options.control?.({ serverName: beta.serverName, dir })) ?? [];
        return { alphaRegistrations: [emissary.registrationPath], betaRegistrations };
      },
    });
    if (emissary === undefined) throw new Error("startPair did not call prepare");
    await options.recorder?.start(pair);
    await emissary.start();
    return stageOf(dir, pair, emissary, `@${localpart}:${pair.alpha.serverName}`, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function stageOf(dir: string, pair: Pair, emissary: Emissary, pseudouser: string, close: () => Promise<void>): Stage {
  const { alpha: ours, beta: theirs } = pair;
  return {
    dir,
    ours,
    theirs,
    emissary,
    pseudouser,
    close,
    async user(server, localpart) {
      return new MatrixUser({ homeserverUrl: server.url, ...(await server.registerUser(localpart)) });
    },
    async askAsPseudouser<T>(path: string): Promise<T> {
      const us = new MatrixUser({ homeserverUrl: ours.url, userId: pseudouser, accessToken: emissary.asToken });
      const { status, body } = await us.request("GET", path, { user_id: pseudouser });
      if (status !== 200) throw new Error(`${path} as the pseudouser: ${status} ${JSON.stringify(body)}`);
      return body as T;
    },
    async tenant(id, ...more) {
      const { token, sender } = await emissary.addTenant(id, ...more);
      return new MatrixUser({ homeserverUrl: emissary.gatewayUrl, userId: sender, accessToken: token });
    },
  };
}

/**
 * Asks until the answer is right; throws with the newest answer at the deadline. It pauses as long as the asking took: a command is
 * half a second of work, which what is awaited may need.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  deadlineMs = 20_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const begun = Date.now();
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(100, Date.now() - begun)));
  }
}
