import { z } from "zod";
import { budget, choice, expecting, globs, roomName, wholeNumber } from "./values.ts";

const joins = (burst: string) => budget().prefault(burst);
const SAME = "this many at once, refilled over this time";

export const policy = z
  .strictObject({
    max_rooms: wholeNumber(1, 1_000_000).prefault(1_000).describe("Maximum number of rooms that the pseudouser is in."),
    max_members: wholeNumber(1, 10_000_000).prefault(20_000).describe("Do not join rooms with more joined members."),
    max_joins_under_way: wholeNumber(1, 100_000)
      .prefault(500)
      .describe("Maximum number of pending joins. Above it, callers must ask again."),
    max_event_rate: wholeNumber(1, 100_000)
      .prefault(100)
      .describe("Leave a room that sends more events per second, and avoid it for a growing time."),
    refuse_versions: z
      .array(expecting("a room version", z.string().min(1).max(32)))
      .prefault(["1"])
      .describe(
        "Do not join rooms of these versions. Version 1 is known for state resets. In versions before 12 a hostile server " +
          "can cause them: list these too if you want to be safe.",
      ),
    joins_per_user: joins("30/1h").describe(`Joins that the peeks of one local user may cause: ${SAME}.`),
    joins_per_tenant: joins("1000/1h").describe("Joins that one tenant may cause."),
    joins_per_server: joins("200/1h").describe(
      "Joins that benefit one remote server: the server of the room's creator, or of the inviter. Rooms named in a " +
        "tenant's grant do not count.",
    ),
    joins_in_all: joins("2000/1h").describe("All joins together. Joins that you request by hand do not count."),
    deny_rooms: globs().describe(
      "Rooms to leave and not to join: IDs or aliases, as globs. SIGHUP reloads this and the following keys. " +
        "`emissary policy allow` and `deny` add rules at run time.",
    ),
    allow_rooms: globs().describe(
      "Exceptions from deny rules, from policy lists, and from the limits on size, event rate and version.",
    ),
    deny_servers: globs().describe(
      "Do not join rooms that users of these servers created or invite to, and do not ask these servers about any room.",
    ),
    allow_servers: globs().describe(
      'Exceptions from deny_servers and from policy lists. With deny_servers: ["*"], only these servers are allowed.',
    ),
    deny_users: globs().describe("Do not join rooms that these users created, and ignore their invites."),
    allow_users: globs().describe("Exceptions from deny_users and from policy lists."),
    deny_tenants: globs().describe("Tenants that may not enter any room."),
    allow_tenants: globs().describe("Exceptions from deny_tenants."),
    lists: z
      .array(roomName())
      .prefault([])
      .describe(
        "Rooms with policy lists (m.policy.rule.*, MSC2313), IDs or aliases. The pseudouser joins them. Emissary denies what " +
          "they ban, unless an allow rule above matches.",
      ),
    own_invites: choice(["decline", "block", "keep"])
      .prefault("decline")
      .describe(
        "What to do with invites of the pseudouser that are for no tenant. decline: decline them with a reason. block: the " +
          "homeserver refuses all its invites (m.invite_permission_config), also those for tenants. keep: leave them open.",
      ),
  })
  .describe("Which rooms the pseudouser may join, and for whom.");
