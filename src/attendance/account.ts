import type { Clock, Random } from "../model/clock.ts";
import { EmissaryError } from "../model/errors.ts";
import { stringAt } from "../model/json.ts";
import type { Logger } from "../model/logger.ts";
import { backoff } from "../concurrency/backoff.ts";
import type { HomeserverClient } from "../homeserver/client.ts";
import type { PseudouserDevice } from "../homeserver/device.ts";
import { failureOf } from "../homeserver/errors.ts";
import { REGISTER, registrationOf } from "../homeserver/registering.ts";
import { putContent } from "./homeserver/content.ts";

export interface SettingUp {
  readonly client: HomeserverClient;
  readonly device: PseudouserDevice;
  readonly displayname: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Also aborts calls to the homeserver. */
  readonly abort: AbortSignal;
  /** Called with a sentence that says why it is not set up yet. */
  readonly onFailure: (sentence: string) => void;
}

/** Longest pause between two tries: an operator who has just loaded the registration is waiting. */
const LONGEST_PAUSE_MS = 30_000;

/**
 * Sets up the pseudouser once the homeserver is up and has loaded our registration. Returns false if the signal aborts.
 * @throws EmissaryError `bad-config` if the homeserver refuses the name: another try would not help.
 */
export async function keepSettingUp(parts: SettingUp): Promise<boolean> {
  const { clock, random, log, abort, onFailure } = parts;
  const isOver = (): boolean => abort.aborted;
  for (let tries = 1; !isOver(); tries += 1) {
    try {
      await setUp(parts);
      return true;
    } catch (error) {
      if (!(error instanceof EmissaryError) || error.code === "bad-config") throw error;
      if (isOver()) break;
      const pause = backoff(tries, random, 1_000, LONGEST_PAUSE_MS);
      onFailure(error.message);
      log.warn("homeserver.not-ready", { cause: error.message, retry_in_ms: pause });
      await clock.sleep(pause, abort);
    }
  }
  return false;
}

/** Registers the pseudouser if needed: without an account, federated invites to it fail. The order works everywhere. */
async function setUp({ client, device, displayname, abort }: SettingUp): Promise<void> {
  const { own } = client;
  let known = await whoami(client, abort);
  if (known === null) {
    await register(client, abort);
    known = await whoami(client, abort);
  }
  if (known !== own) {
    const whom = known === null ? "nobody" : JSON.stringify(known);
    throw notAccepted(own, `acting as it, the homeserver takes us for ${whom}`);
  }
  await device.make(abort);
  const path = `/_matrix/client/v3/profile/${encodeURIComponent(own)}/displayname`;
  const profile = await client.call("GET", path, { abort });
  // Synapse creates no profile for an account with an empty localpart.
  const isMissing = profile.status === 404 || profile.status === 403;
  if (profile.status !== 200 && !isMissing) throw failureOf(profile, "tell the pseudouser's profile");
  if (!isMissing && stringAt(profile.body, "displayname") === displayname) return;
  await putContent(client, path, { displayname }, "set the pseudouser's display name", abort);
}

/** Returns the homeserver's name for us when we act as the pseudouser; null if it says that there is no such user. */
async function whoami(client: HomeserverClient, abort: AbortSignal): Promise<string | null> {
  const answer = await client.call("GET", "/_matrix/client/v3/account/whoami", { abort });
  if (answer.status === 200) return stringAt(answer.body, "user_id") ?? "";
  // Synapse answers 403 for a user of our namespace that is not registered.
  if (answer.status === 403 || answer.status === 404) return null;
  throw failureOf(answer, "tell who we are");
}

/** Registers the pseudouser, if it is not registered already (spec, AS API, "Registration"). */
async function register(client: HomeserverClient, abort: AbortSignal): Promise<void> {
  const answer = await client.call("POST", REGISTER, { abort, ...registrationOf(client.own) });
  if (answer.status === 200 || answer.errcode === "M_USER_IN_USE") return;
  if (answer.status !== 400 && answer.status !== 403) throw failureOf(answer, "register the pseudouser");
  throw notAccepted(client.own, `${answer.errcode ?? answer.status}: ${answer.error ?? "no reason given"}`);
}

function notAccepted(own: string, reason: string): EmissaryError {
  return new EmissaryError(
    "bad-config",
    `The homeserver does not accept the pseudouser ${own}: ${reason}. ` +
      `If it refuses an empty localpart, set pseudouser.localpart (for example _server) in emissary.yaml, put the same user into ` +
      `the registration (emissary register --localpart _server --force), and have the homeserver load that anew.`,
  );
}
