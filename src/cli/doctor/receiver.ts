import type { Config } from "../../platform/config/config.ts";
import { probeDaemon, type DaemonState } from "./daemon-probe.ts";
import type { HomeserverProbe } from "./homeserver-probe.ts";

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
