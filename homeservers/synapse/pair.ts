/** Two Synapses that federate with each other over loopback. */
import path from "node:path";
import { ensureSynapse } from "./environment.ts";
import type { Log } from "./environment.ts";
import { freePorts } from "./ports.ts";
import { Synapse } from "./synapse.ts";
import type { SynapseOptions } from "./synapse.ts";

/** Known before either runs: a registration names the server that will read it at its start. */
export type ServerAddress = { readonly serverName: string; readonly url: string; readonly dir: string };
export type PairAddresses = { readonly alpha: ServerAddress; readonly beta: ServerAddress };

export type PairOptions = {
  readonly dir: string;
  /** Default: from `ensureSynapse`. */
  readonly python?: string;
  readonly log?: Log;
  readonly defaultRoomVersion?: string;
  /** Settings of both. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Ports under which each finds the other, where something stands between them. Default: their own. */
  readonly fronts?: { readonly alpha: number; readonly beta: number };
  /** Writes the registration files and answers with their paths. */
  readonly prepare?: (addresses: PairAddresses) => Promise<Registrations>;
};

export type Registrations = {
  readonly alphaRegistrations?: readonly string[];
  readonly betaRegistrations?: readonly string[];
};

export type Pair = { readonly alpha: Synapse; readonly beta: Synapse; stop(): Promise<void> };

/** Starts both at once. If one does not come up, the other is stopped again. */
export async function startPair(options: PairOptions): Promise<Pair> {
  const python = options.python ?? (await ensureSynapse(options.log ? { log: options.log } : {})).python;
  const [alphaClient = 0, alphaFederation = 0, betaClient = 0, betaFederation = 0] = await freePorts(4);
  const alphaPorts = { clientPort: alphaClient, federationPort: alphaFederation };
  const betaPorts = { clientPort: betaClient, federationPort: betaFederation };
  const addresses = {
    alpha: addressOf(path.join(options.dir, "alpha"), alphaPorts, options.fronts?.alpha),
    beta: addressOf(path.join(options.dir, "beta"), betaPorts, options.fronts?.beta),
  };
  const { alphaRegistrations = [], betaRegistrations = [] } = (await options.prepare?.(addresses)) ?? {};

  const common: Omit<SynapseOptions, "dir"> = {
    python,
    ...(options.defaultRoomVersion === undefined ? {} : { defaultRoomVersion: options.defaultRoomVersion }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  };
  const [alpha, beta] = await Promise.allSettled([
    Synapse.start({ ...common, ...alphaPorts, ...identityOf(addresses.alpha), registrations: alphaRegistrations }),
    Synapse.start({ ...common, ...betaPorts, ...identityOf(addresses.beta), registrations: betaRegistrations }),
  ]);
  if (alpha.status === "rejected" || beta.status === "rejected") {
    for (const outcome of [alpha, beta]) if (outcome.status === "fulfilled") await outcome.value.stop();
    const failed = [alpha, beta].find((outcome) => outcome.status === "rejected");
    throw failed?.reason;
  }
  const stop = async (): Promise<void> => {
    await Promise.all([alpha.value.stop(), beta.value.stop()]);
  };
  return { alpha: alpha.value, beta: beta.value, stop };
}

function addressOf(dir: string, ports: { clientPort: number; federationPort: number }, front?: number): ServerAddress {
  const serverName = `localhost:${front ?? ports.federationPort}`;
  return { dir, serverName, url: `http://127.0.0.1:${ports.clientPort}` };
}

function identityOf({ dir, serverName }: ServerAddress): { readonly dir: string; readonly serverName: string } {
  return { dir, serverName };
}
