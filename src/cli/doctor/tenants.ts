import type { AdminClient } from "../admin-client.ts";
import { overlapTexts } from "../tenant-words.ts";
import type { Check } from "./context.ts";
import { quoted } from "./finding.ts";

/** Pings each tenant with a URL, unless it is paused and so perhaps down. Checks that namespaces are disjoint. */
export const tenants: Check = async (context, found) => {
  const state = await context.daemon();
  if (state.kind !== "running") return found.skipped("only the running daemon can call tenants");
  if (state.status.tenants === 0) return found.ok("there are none");
  const { client } = state;
  const all = (await client.call("tenants")).tenants;
  const unread = all.filter(({ users_fault }) => users_fault !== null);
  if (unread.length > 0) {
    return found.warning({
      what: `Of ${all.length} tenants, ${unread.length} have a namespace that is not read: ${unread.map((tenant) => `${tenant.id}: ${quoted(tenant.users ?? "")} ${tenant.users_fault ?? ""}.`).join(" ")}`,
      why: "It was accepted by an earlier version. Such a tenant has no users but its sender.",
      do: "Remove the tenant and add it anew with an expression that is read (emissary tenant remove, tenant add --users).",
    });
  }
  const called = all.filter(({ url, paused_at }) => url !== null && paused_at === null);
  const faults = (await Promise.all(called.map((tenant) => faultOf(client, tenant.id)))).filter(
    (fault) => fault !== null,
  );
  if (faults.length > 0) {
    return found.warning({
      what: `Of ${called.length} tenants that are called, ${faults.length} do not answer as they should: ${faults.join(" ")}`,
      why: "They do not run, their URL is another now, or they have loaded another registration than their newest.",
      do: "Look into the tenant's own log. Its events are kept until it takes them; one that will not come back is to be removed (emissary tenant remove).",
    });
  }
  const shared = all.flatMap((tenant) =>
    overlapTexts({ overlaps: tenant.overlaps.filter(({ theirs }) => theirs) }).map((text) => `${tenant.id} ${text}.`),
  );
  if (shared.length > 0) {
    return found.warning({
      what: `Of ${all.length} tenants, some have namespaces that overlap, or may: ${shared.join(" ")}`,
      why: "Two tenants were added with --users that match the same user IDs.",
      do: "Nothing is taken from the tenant that was added first. Give the other one a namespace of its own: remove it, and add it anew (emissary tenant remove, emissary tenant add).",
    });
  }
  return found.ok(called.length === 0 ? "none has a URL to be called at" : `called: ${called.length}, and all answer`);
};

/** Returns what is wrong with a tenant, as a sentence with its name; null if it answers. */
async function faultOf(client: AdminClient, id: string): Promise<string | null> {
  const ping = await client.call("tenantPing", { params: { id } });
  // An appservice from before the ping still takes its events.
  if (ping.ok || ping.status === 404 || ping.status === 405) return null;
  return `${id}: ${quoted(ping.sentence)}.`;
}
