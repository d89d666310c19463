import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import type { UserId } from "../model/ids.ts";
import type { Logger } from "../model/logger.ts";
import { backoff } from "../concurrency/backoff.ts";

/** Homeserver calls that set up the pseudouser. Each throws EmissaryError if the homeserver fails or refuses. */
export interface PseudouserAccount {
  /**
   * Returns the homeserver's name for us when we act as the pseudouser; null if it says that there is no such user.
   */
  whoami(): Promise<string | null>;
  /**
   * Registers the pseudouser. `exists`: it is already registered; `refused`: this homeserver does not accept the name.
   */
  register(): Promise<
    { readonly outcome: "made" | "exists" } | { readonly outcome: "refused"; readonly reason: string }
  >;
  displayname(): Promise<string | null>;
  setDisplayname(name: string): Promise<void>;
  /** Gives the pseudouser a device, if the homeserver supports devices of appservices. */
  haveDevice(): Promise<void>;
}

/**
 * Registers the pseudouser if needed and sets its display name. The order of the calls works on every homeserver: it
 * asks who we are, and registers only if no user has the name. Without a registered account, federated invites to it
 * fail.
 * @throws EmissaryError `bad-config` with a remedy if the homeserver refuses the name; else what the calls throw.
 */
export async function setUpPseudouser(account: PseudouserAccount, own: UserId, displayname: string): Promise<void> {
  let known = await account.whoami();
  if (known === null) {
    const registered = await account.register();
    if (registered.outcome === "refused") throw refusal(own, registered.reason);
    known = await account.whoami();
  }
  if (known !== own) {
    throw refusal(
      own,
      `acting as it, the homeserver takes us for ${known === null ? "nobody" : JSON.stringify(known)}`,
    );
  }
  await account.haveDevice();
  // Synapse creates no profile for an account with an empty localpart.
  if ((await account.displayname()) !== displayname) await account.setDisplayname(displayname);
}

export interface SettingUp {
  readonly account: PseudouserAccount;
  readonly own: UserId;
  readonly displayname: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly abort: AbortSignal;
  /** Called with a sentence that says why it is not set up yet. */
  readonly onFailure: (sentence: string) => void;
}

/** Longest pause between two tries: an operator who has just loaded the registration is waiting. */
const LONGEST_PAUSE_MS = 30_000;

/**
 * Sets up the pseudouser once the homeserver is up and has loaded our registration. Returns false if the signal ended
 * it.
 * @throws EmissaryError `bad-config` if the homeserver refuses the name: another try would not help.
 */
export async function keepSettingUp(parts: SettingUp): Promise<boolean> {
  const { account, own, displayname, clock, random, log, abort, onFailure } = parts;
  const isOver = (): boolean => abort.aborted;
  for (let tries = 1; !isOver(); tries += 1) {
    const failure = await trySettingUp(account, own, displayname);
    if (failure === null) return true;
    if (isOver()) break;
    const pause = backoff(tries, random, 1_000, LONGEST_PAUSE_MS);
    onFailure(failure);
    log.warn("homeserver.not-ready", { cause: failure, retry_in_ms: pause });
    await clock.sleep(pause, abort);
  }
  return false;
}

/** Returns null once it is set up, else why not yet. */
async function trySettingUp(account: PseudouserAccount, own: UserId, displayname: string): Promise<string | null> {
  try {
    await setUpPseudouser(account, own, displayname);
    return null;
  } catch (error) {
    if (!(error instanceof EmissaryError) || error.code === "bad-config") throw error;
    return error.message;
  }
}

function refusal(own: UserId, reason: string): EmissaryError {
  return new EmissaryError(
    "bad-config",
    `The homeserver does not accept the pseudouser ${own}: ${reason}. ` +
      `If it refuses an empty localpart, set pseudouser.localpart (for example _server) in emissary.yaml, put the same user into ` +
      `the registration (emissary register --localpart _server --force), and have the homeserver load that anew.`,
  );
}
