import type { Check, Context } from "./context.ts";
import { findingsOf } from "./finding.ts";
import { aheadOf } from "./homeserver-probe.ts";

const MOST_MS = 30_000;

const found = findingsOf("clock");

/** Leases end, tokens and journals age by the clock, and events are compared with the homeserver's times. */
export const clock: Check = async (context) => {
  const versions = await context.homeserver.versions();
  const clocks: [string, number | null][] = [
    ["the homeserver's", versions.heard ? versions.ahead : null],
    ["the daemon's", await daemonAhead(context)],
  ];
  const known = clocks.filter((one): one is [string, number] => one[1] !== null);
  if (known.length === 0) return found.skipped("neither the homeserver nor the daemon tells its time");
  const [whose, ahead] = known.reduce((worst, one) => (Math.abs(one[1]) > Math.abs(worst[1]) ? one : worst));
  const apart = Math.round(Math.abs(ahead) / 1000);
  if (Math.abs(ahead) <= MOST_MS) return found.ok(`agrees with ${known.map(([name]) => name).join(" and ")}`);
  return found.warning({
    what: `This machine's clock is ${apart} s ${ahead > 0 ? "behind" : "ahead of"} ${whose}.`,
    why: "One of the machines does not set its clock by the network.",
    do: "Switch on time synchronisation (on Linux: timedatectl set-ntp true) on both.",
  });
};

async function daemonAhead({ daemon, machine }: Context): Promise<number | null> {
  const state = await daemon();
  if (state.kind !== "running") return null;
  const { request } = await import("undici");
  const sent = machine.clock.now();
  try {
    const { headers, body } = await request(`${state.client.address}/health`, { headersTimeout: 5_000 });
    await body.dump();
    return aheadOf(headers["date"], (sent + machine.clock.now()) / 2);
  } catch {
    return null;
  }
}
