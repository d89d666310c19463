import type { Check } from "./context.ts";

const MOST_MS = 30_000;

/** Leases, tokens and journals expire by the clock, and events are compared with the homeserver's times. */
export const clock: Check = async (context, found) => {
  const state = await context.daemon();
  const answers = {
    "the homeserver's": await context.homeserver.versions(),
    "the daemon's": state.kind === "running" ? await context.asker.ask("GET", `${state.client.address}/health`) : null,
  };
  const clocks = Object.entries(answers).map(([whose, reply]) => [whose, reply?.heard ? reply.ahead : null] as const);
  const known = clocks.flatMap(([whose, ahead]) => (ahead === null ? [] : [[whose, ahead] as const]));
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
