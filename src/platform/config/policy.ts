import { z } from "zod";
import { budget, choice, expecting, globs, roomName, wholeNumber } from "./values.ts";

const joins = (burst: string) => budget().prefault(burst);
const SAME = "so many at once after a rest, and as many again in each such time";

export const policy = z
  .strictObject({
    max_rooms: wholeNumber(1, 1_000_000).prefault(1_000).describe("In how many rooms the pseudouser may be at once."),
    max_members: wholeNumber(1, 10_000_000)
      .prefault(20_000)
      .describe("Rooms with more joined members than this are not joined."),
    max_joins_under_way: wholeNumber(1, 100_000)
      .prefault(500)
      .describe("How many rooms may be wanted and not yet joined. Who wants more has to ask again."),
    max_event_rate: wholeNumber(1, 100_000)
      .prefault(100)
      .describe("A room that sends more events a second than this is left, and kept away from for a time that grows."),
    refuse_versions: z
      .array(expecting("a room version", z.string().min(1).max(32)))
      .prefault(["1"])
      .describe(
        "Room versions that are not joined. Version 1 is known to reset state; versions before 12 can, where a hostile server takes " +
          "part: whoever wants to be safe lists these, too.",
      ),
    joins_per_user: joins("30/1h").describe(`Joins that one local user's peeks may cause: ${SAME}.`),
    joins_per_tenant: joins("1000/1h").describe("Joins that one tenant may cause, likewise."),
    joins_per_server: joins("200/1h").describe(
      "Joins by which one other server gains, likewise: that of whoever made the room, or invites into it. Rooms that a " +
        "tenant's grant names do not count.",
    ),
    joins_in_all: joins("2000/1h").describe(
      "Joins in all, likewise. What the operator asks for by hand does not count.",
    ),
    deny_rooms: globs().describe(
      "Rooms that are not joined, and are left: IDs or aliases, as globs. These and the next keys are read again at SIGHUP; " +
        "`emissary policy allow` and `deny` add rules while Emissary runs.",
    ),
    allow_rooms: globs().describe(
      "Exceptions from what is denied here or by policy lists, and from the caps on a room's size, rate and version.",
    ),
    deny_servers: globs().describe(
      "Servers whose rooms are not joined (those that their users made, or invite into), and that are not asked for any room.",
    ),
    allow_servers: globs().describe(
      'Exceptions from deny_servers and from policy lists. With deny_servers: ["*"], only these.',
    ),
    deny_users: globs().describe("Users whose rooms are not joined, and whose invites are not heeded."),
    allow_users: globs().describe("Exceptions from deny_users and from policy lists."),
    deny_tenants: globs().describe("Tenants that get into no room."),
    allow_tenants: globs().describe("Exceptions from deny_tenants."),
    lists: z
      .array(roomName())
      .prefault([])
      .describe(
        "Rooms with policy lists (m.policy.rule.*, MSC2313) to go by, IDs or aliases. The pseudouser joins them. What they ban is " +
          "denied here, other than what is allowed above.",
      ),
    own_invites: choice(["decline", "block", "keep"])
      .prefault("decline")
      .describe(
        "What becomes of invites of the pseudouser that are for no tenant. decline: refused with a reason; block: the homeserver " +
          "refuses all invites of it from the first (m.invite_permission_config), those for tenants included; keep: left as they are.",
      ),
  })
  .describe("Which rooms the pseudouser may join, and what for.");
