/**
 * Synapses that federate, some with the `peekable` join rule (homeservers/synapse-peekable) and some as released, which refuse
 * its rooms.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { ensurePeekableSynapse } from "../../homeservers/synapse-peekable/environment.ts";
import { MatrixUser } from "../../homeservers/synapse/client.ts";
import { ensureSynapse } from "../../homeservers/synapse/environment.ts";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import { SynapseUnavailable } from "../../homeservers/synapse/python.ts";
import { Synapse } from "../../homeservers/synapse/synapse.ts";

export const PEEKABLE_VERSION = "org.matrix.msc1777.12";
export const VOUCHED_FOR_BY = "org.matrix.msc1777.vouched_for_by";

/** The Python of the patched Synapse, or why there is none. Builds it where it is missing, so a test file asks before its tests. */
export type PeekablePython = { readonly python: string } | { readonly python: null; readonly why: string };

export async function findPeekablePython(): Promise<PeekablePython> {
  const prepared = process.env["EMISSARY_SYNAPSE_PEEKABLE_PYTHON"];
  if (prepared !== undefined) return { python: prepared };
  // scripts/test.ts has tried, told and counted it.
  const why = process.env["EMISSARY_SYNAPSE_PEEKABLE_MISSING"];
  if (why !== undefined) return { python: null, why: firstLine(why) };
  try {
    return await ensurePeekableSynapse();
  } catch (error) {
    // Anything else is a build that went wrong, and no reason to skip.
    if (error instanceof SynapseUnavailable && process.env["CI"] !== "true") {
      return { python: null, why: firstLine(error.message) };
    }
    throw error;
  }
}

/** Tests on the patched Synapse; where it cannot be run, a test that is left out says why. */
export function describePatched(what: string, patched: PeekablePython, check: (python: string) => void): void {
  if (patched.python !== null) {
    const { python } = patched;
    describe(what, () => check(python));
    return;
  }
  describe(`${what}: the patched Synapse cannot be run here: ${patched.why}`, () => {
    it.skip("is left out", () => undefined);
  });
}

/** What is known of a server before it runs, for the registrations that it will read at its start. */
export interface ServerPlan {
  readonly kind: "patched" | "stock";
  readonly serverName: string;
  readonly url: string;
  readonly dir: string;
}

export interface Servers {
  readonly dir: string;
  /** In the order in which they were asked for. */
  readonly all: readonly Synapse[];
  user(server: Synapse, localpart: string): Promise<MatrixUser>;
  /** A server's pseudouser, where `prepare` left its registration to us. */
  pseudouser(server: Synapse): MatrixUser;
  stop(): Promise<void>;
}

/**
 * Starts servers at once, each of its kind; if one does not come up, the others are stopped again.
 *
 * @param options.prepare gives the paths of a server's registration files; null leaves it one that has its pseudouser
 */
export async function startServers(
  kinds: readonly ServerPlan["kind"][],
  options: {
    readonly patched: string;
    readonly prepare?: (plan: ServerPlan, index: number) => Promise<readonly string[] | null>;
    /** Settings of all. */
    readonly settings?: Readonly<Record<string, unknown>>;
  },
): Promise<Servers> {
  const stock = process.env["EMISSARY_SYNAPSE_PYTHON"] ?? (await ensureSynapse()).python;
  const dir = await mkdtemp(join(tmpdir(), "emissary-peekable-"));
  const ports = await freePorts(kinds.length * 2);
  const starting = kinds.map(async (kind, index) => {
    const [clientPort = 0, federationPort = 0] = ports.slice(index * 2);
    const serverName = `localhost:${federationPort}`;
    const plan = { kind, serverName, url: `http://127.0.0.1:${clientPort}`, dir: join(dir, `hs${index}`) };
    const registrations = (await options.prepare?.(plan, index)) ?? [await registerPseudouser(dir, plan)];
    const python = kind === "patched" ? options.patched : stock;
    const common = options.settings === undefined ? {} : { settings: options.settings };
    return Synapse.start({ ...common, python, dir: plan.dir, clientPort, federationPort, serverName, registrations });
  });
  const outcomes = await Promise.allSettled(starting);
  const all = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
  const stop = async (): Promise<void> => {
    await Promise.all(all.map((server) => server.stop()));
    await rm(dir, { recursive: true, force: true });
  };
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return {
    dir,
    all,
    stop,
    async user(server, localpart) {
      return new MatrixUser({ homeserverUrl: server.url, ...(await server.registerUser(localpart)) });
    },
    pseudouser({ url, serverName }) {
      return new MatrixUser({ homeserverUrl: url, userId: `@:${serverName}`, accessToken: tokenOf(serverName) });
    },
  };
}

/** A registration whose sender has the empty localpart, and that is sent nothing. */
async function registerPseudouser(dir: string, { serverName }: ServerPlan): Promise<string> {
  const file = join(dir, `${serverName.replace(":", "-")}.json`);
  const registration = {
    id: "pseudouser",
    url: null,
    as_token: tokenOf(serverName),
    hs_token: `hs-${serverName}`,
    sender_localpart: "",
    rate_limited: false,
    namespaces: { users: [], aliases: [], rooms: [] },
  };
  await writeFile(file, JSON.stringify(registration));
  return file;
}

/** What follows is what a build wrote. */
function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function tokenOf(serverName: string): string {
  return `pseudouser-of-${serverName}`;
}
