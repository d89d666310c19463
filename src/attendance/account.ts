import { EmissaryError } from "../model/errors.ts";
import type { UserId } from "../model/ids.ts";

/** The homeserver calls that make the pseudouser exist. Each throws EmissaryError where the homeserver cannot be asked or says no. */
export interface PseudouserAccount {
  /** Who the homeserver takes us for when we act as the pseudouser; null where it says that there is no such user. */
  whoami(): Promise<string | null>;
  /** Registers the pseudouser. `exists`: it is there already; `refused`: this homeserver does not take the name. */
  register(): Promise<
    { readonly outcome: "made" | "exists" } | { readonly outcome: "refused"; readonly reason: string }
  >;
  displayname(): Promise<string | null>;
  setDisplayname(name: string): Promise<void>;
}

/**
 * Sees to it that the pseudouser exists and has its name, in the order that works on every homeserver: ask who we are, and
 * register only where nobody answers to the name. Without a registered account federated invites to it fail.
 * @throws EmissaryError `bad-config` where the homeserver refuses the name, with the way out; else what the calls throw.
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
  // Synapse makes no profile for an account whose localpart is empty.
  if ((await account.displayname()) !== displayname) await account.setDisplayname(displayname);
}

function refusal(own: UserId, reason: string): EmissaryError {
  return new EmissaryError(
    "bad-config",
    `The homeserver does not accept the pseudouser ${own}: ${reason}. ` +
      `If it refuses an empty localpart, set pseudouser.localpart (for example _server) in emissary.yaml, put the same user into ` +
      `the registration (emissary register --localpart _server --force), and have the homeserver load that anew.`,
  );
}
