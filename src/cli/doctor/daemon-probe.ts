import type { StatusAnswer } from "../../admin/api/daemon.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { Config } from "../../platform/config/config.ts";
import { formatListen, type ListenAddress } from "../../platform/config/values.ts";
import { AdminClient } from "../admin-client.ts";
import type { Asker } from "./asker.ts";
import type { HomeserverProbe } from "./homeserver-probe.ts";
import { CommandFailed, EXIT, isForeseen } from "../exit.ts";

const TIMEOUT_MS = 10_000;

/** What stands behind admin.listen. */
export type DaemonState =
  | { readonly kind: "running"; readonly status: StatusAnswer; readonly client: AdminClient }
  | { readonly kind: "down" | "other-token" | "foreign" | "untold"; readonly why: string };

export async function probeDaemon(config: Config): Promise<DaemonState> {
  let client: AdminClient;
  try {
    client = new AdminClient(config.admin);
  } catch (error) {
    // Port 0: only the daemon's log knows where it listens.
    return { kind: "untold", why: sentenceOf(error) };
  }
  try {
    const status = await client.call("status", { timeout: TIMEOUT_MS });
    return { kind: "running", status, client };
  } catch (error) {
    if (!isForeseen(error)) throw error;
    if (error instanceof CommandFailed && error.exitCode === EXIT.unreachable) {
      return { kind: "down", why: error.message };
    }
    const isToken = error instanceof EmissaryError && error.code === "unknown-token";
    return { kind: isToken ? "other-token" : "foreign", why: error.message };
  }
}

/**
 * What stands behind appservice.listen when it is shown our hs_token, as the homeserver would: ourselves, an Emissary with
 * another token, some other program, or nothing. Tells a wrong address from a wrong token.
 */
export type ListenerState = "ours" | "other-token" | "foreign" | "silent" | "untold";

export async function probeListener({ appservice, registration }: Config, asker: Asker): Promise<ListenerState> {
  const address = localAddress(appservice.listen);
  if (address === null) return "untold";
  const reply = await asker.ask("POST", `${address}/_matrix/app/v1/ping`, {
    token: registration.hsToken,
    body: {},
    timeout: TIMEOUT_MS,
  });
  if (!reply.heard) return "silent";
  if (reply.status === 200) return "ours";
  return reply.body["org.matrix.msc1777.code"] === "forbidden" ? "other-token" : "foreign";
}

/** Where a listener of this machine is asked; null where any port may be its. */
function localAddress({ host, port }: ListenAddress): string | null {
  if (port === 0) return null;
  const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${formatListen({ host: local, port })}`;
}

/** Who receives what the homeserver sends to Emissary: the daemon at admin.listen, or somebody in its place. */
export type Receiver = "daemon" | "somebody-else" | "untold";

/**
 * Has the homeserver ping us with an ID that nobody else can know, and asks the daemon whether that has come. A ping that was
 * answered and did not come is the only trace of a second Emissary with another database: all else looks well to both. One that came is
 * good, whatever the homeserver says of it: where Synapse is just about to try an appservice again, it reports the ping as failed.
 */
export async function receiverOf(
  config: Config,
  homeserver: HomeserverProbe,
  daemon: () => Promise<DaemonState>,
): Promise<Receiver> {
  const before = await daemon();
  if (before.kind !== "running") return "untold";
  const ping = await homeserver.ping();
  if (!ping.heard) return "untold";
  const after = await probeDaemon(config);
  if (after.kind !== "running") return "untold";
  const seen = after.status.last_ping?.transaction_id;
  // A ping that another doctor asked for in between came the same way.
  const isFresh = seen !== undefined && seen !== before.status.last_ping?.transaction_id;
  if (isFresh) return "daemon";
  return ping.status === 200 ? "somebody-else" : "untold";
}
