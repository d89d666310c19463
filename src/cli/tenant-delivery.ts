import type { Command } from "commander";
import type { TenantAnswer } from "../admin/api/tenants.ts";
import { sentenceOf } from "../model/errors.ts";
import { says, type AdminClient } from "./admin-client.ts";
import { isForeseen, wrongUsage, type Io } from "./io.ts";
import { known, moment, neutral, type Cell } from "./text.ts";
import { checkedId } from "./tenant-grants.ts";

type Delivery = NonNullable<TenantAnswer["delivery"]>;

export function addTenantDelivery(group: Command, io: Io): void {
  const add = (name: string, does: string): Command => group.command(name).description(does).argument("<id>");

  says(
    add("pause", "hold a tenant's events back until resume; they are kept for it"),
    io,
    async (daemon, _, id = "") => {
      await daemon().call("tenantPause", { params: { id: checkedId(id) } });
      return `The tenant ${id} is paused: its events are kept until \`emissary tenant resume ${id}\`.`;
    },
  );
  says(
    add("resume", "give a paused tenant its events again, beginning with those that were kept"),
    io,
    async (daemon, _, id = "") => {
      await daemon().call("tenantResume", { params: { id: checkedId(id) } });
      return `The tenant ${id} is given its events again.`;
    },
  );
  says<{ from: string }>(
    add("replay", "give a tenant its events again that it has had, in transactions with new IDs").requiredOption(
      "--from <seq|time>",
      "a number of the journal, or a time such as 2026-01-31T12:00Z",
    ),
    io,
    async (daemon, options, id = "") => {
      const call = { params: { id: checkedId(id) }, body: beginningOf(options.from) };
      const { from_seq: from } = await daemon().call("tenantReplay", call);
      return `The tenant ${id} is given again what concerns it, beginning with number ${from} of the journal.`;
    },
  );
  says(
    add("skip", "have a tenant do without the one event that it is stuck at, and go on with the next").argument(
      "<event>",
      "the event's ID, as tenant show names it",
    ),
    io,
    async (daemon, _, id = "", event) => {
      const call = { params: { id: checkedId(id) }, body: { event_id: event } };
      const { skipped } = await daemon().call("tenantSkip", call);
      return `The tenant ${id} never gets ${neutral(skipped.event_id)} (number ${skipped.seq} of the journal); what follows is on its way.`;
    },
  );
}

function stuckText(id: string, { event_id, room_id, type, bytes, since }: NonNullable<Delivery["stuck"]>): string {
  return (
    `since ${moment(since)} at ${event_id} (${type}, ${bytes} bytes) in ${room_id}: mend the tenant, ` +
    `or have it do without this event (emissary tenant skip ${id} '${event_id}')`
  );
}

/** Pings a new tenant and reports the result: it need not run yet. */
export async function tellPing(client: AdminClient, io: Io, { id, url }: TenantAnswer): Promise<void> {
  if (url === null) return;
  try {
    const ping = await client.call("tenantPing", { params: { id } });
    if (ping.ok) io.err(`It answers at ${neutral(url)}.`);
    else io.err(`${neutral(ping.sentence)} (emissary doctor tries it again.)`);
  } catch (error) {
    if (!isForeseen(error)) throw error;
    io.err(`Whether it answers at ${neutral(url)} could not be tried: ${sentenceOf(error)}`);
  }
}

export function deliveryFacts({ id, delivery }: TenantAnswer): (readonly [string, Cell])[] {
  if (delivery === null) return [];
  const { stuck, state, lag_events, oldest_at, last_success_at, last_error_at, last_error, paused_at } = delivery;
  const since = paused_at === null ? "" : ` since ${moment(paused_at)}`;
  const oldest = oldest_at === null ? "" : `, the oldest came at ${moment(oldest_at)}`;
  return [
    ["deliveries", `${state}${since}`],
    ["behind", `${lag_events} events${oldest}`],
    ...known("stuck", stuck && stuckText(id, stuck)),
    ["last taken", last_success_at === null ? "none since the start" : moment(last_success_at)],
    ["last error", last_error_at === null ? "none since the start" : `${moment(last_error_at)}: ${last_error ?? ""}`],
  ];
}

/** Returns a line of `status` for each tenant that is behind. */
export function deliveryLines(
  deliveries: readonly (Delivery & { readonly tenant: string })[],
): (readonly [string, Cell])[] {
  return deliveries.flatMap((delivery): (readonly [string, Cell])[] => {
    const { tenant, state, lag_events, oldest_at, last_error, stuck } = delivery;
    if (state === "flowing" && lag_events === 0) return [];
    const oldest = oldest_at === null ? "" : ` since ${moment(oldest_at)}`;
    const isFailing = state === "failing" || state === "stuck";
    const why = isFailing && last_error !== null ? `: ${last_error}` : "";
    const line = `${tenant} ${state}, ${lag_events} events behind${oldest}${why}`;
    return [["tenant", line], ...known("", stuck && stuckText(tenant, stuck))];
  });
}

function beginningOf(from: string): { from_seq: number } | { from_at: number } {
  if (/^\d{1,15}$/.test(from) && Number(from) > 0) return { from_seq: Number(from) };
  // Only with the beginning of ISO 8601: Date.parse accepts much else, differently on each system.
  const at = /^\d{4}-\d{2}-\d{2}/.test(from) ? Date.parse(from) : Number.NaN;
  if (Number.isNaN(at) || at < 0) {
    throw wrongUsage(
      `--from: ${JSON.stringify(from)} is neither a number of the journal nor a time such as 2026-01-31T12:00Z`,
    );
  }
  return { from_at: at };
}
