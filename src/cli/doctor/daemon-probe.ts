import type { StatusAnswer } from "../../admin/api/daemon.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { Config } from "../../platform/config/config.ts";
import { formatListen, type ListenAddress } from "../../platform/config/values.ts";
import { AdminClient } from "../admin-client.ts";
import type { Asker } from "./asker.ts";
import type { HomeserverProbe } from "./homeserver-probe.ts";
import { CommandFailed, EXIT, isForeseen } from "../exit.ts";

const TIMEOUT_MS = 10_000;

/** The program behind admin.listen. */
export type DaemonState =
  | { readonly kind: "running"; readonly status: StatusAnswer; readonly client: AdminClient }
  | { readonly kind: "down" | "other-token" | "foreign" | "untold"; readonly why: string };

export async function probeDaemon(config: Config): Promise<DaemonState> {
  let client: AdminClient;
  try {
    client = new AdminClient(config.admin);
  } catch (error) {
    // Port 0: only the daemon's log has its port.
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
 * What receives our hs_token at appservice.listen: we, an Emissary with another token, another program, or nobody.
 * Tells a wrong address from a wrong token.
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

/** Returns the URL of a listener on this machine; null if its port is unknown. */
function localAddress({ host, port }: ListenAddress): string | null {
  if (port === 0) return null;
  const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${formatListen({ host: local, port })}`;
}

/** Who receives the homeserver's events: the daemon at admin.listen, or another program in its place. */
export type Receiver = "daemon" | "somebody-else" | "untold";

/**
 * Makes the homeserver ping us with a secret ID, and asks the daemon whether it came. If it was answered but did not
 * come, a second Emissary with another database got it; nothing else shows that. If it came, all is well, even if
 * Synapse reports a failure: it does so while it is about to retry an appservice.
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
  // A ping of another doctor in between came the same way.
  const isFresh = seen !== undefined && seen !== before.status.last_ping?.transaction_id;
  if (isFresh) return "daemon";
  return ping.status === 200 ? "somebody-else" : "untold";
}
