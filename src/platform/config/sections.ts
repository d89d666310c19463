import { z } from "zod";
import {
  budget,
  choice,
  duration,
  expecting,
  globs,
  httpUrl,
  listen,
  path,
  roomName,
  serverName,
  size,
  wholeNumber,
  yesOrNo,
} from "./values.ts";

/** Localparts that may be newly made (spec, appendices, "User Identifiers"), and the empty one of MSC1777. */
const LOCALPART = /^[a-z0-9._=/+-]*$/;

export function isLocalpart(text: string): boolean {
  return LOCALPART.test(text);
}

/** Fills our server's name into a text that rooms see. */
export function forServer<Text extends string | null>(text: Text, server: string): string | Text {
  return text === null ? text : text.replaceAll("{server}", () => server);
}

/** The token in config.sample.yaml. Everybody knows it, so loading refuses it. */
export const SAMPLE_ADMIN_TOKEN = "sample-admin-token-to-be-replaced";

/** Printable ASCII without spaces: the token travels in an HTTP header. */
export const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;
export const ADMIN_TOKEN_EXPECTED = "at least 16 printable ASCII characters without spaces";

const joins = (burst: string) => budget().prefault(burst);
const SAME = "this many at once, refilled over this time";

function section<Keys extends z.core.$ZodLooseShape>(description: string, keys: Keys) {
  return z.strictObject(keys).describe(description);
}

/** The sections of emissary.yaml, in the sample's order. */
export const sections = {
  homeserver: section("Your homeserver.", {
    url: httpUrl().meta({
      description: "URL of the homeserver's client-server API. Use the direct address, without a reverse proxy.",
      examples: ["http://127.0.0.1:8008"],
    }),
    server_name: serverName().meta({
      description: "Server name: the part of its user IDs after the colon.",
      examples: ["example.org"],
    }),
    admin_token_file: path()
      .optional()
      .describe(
        "File with the access token of a homeserver administrator. Emissary uses it only to list aliases of all rooms " +
          "(Synapse's admin API). Without it, Emissary cannot find an alias that neither the directory nor its room mentions.",
      ),
  }),
  pseudouser: section("The server's representative in rooms, @:server.", {
    localpart: expecting("nothing, or the letters a-z, digits and . _ = - / +", z.string().regex(LOCALPART))
      .prefault("")
      .describe(
        "Localpart of the pseudouser, the part between @ and the colon. MSC1777 says empty. Set one only if your homeserver " +
          "refuses an empty one; then run `emissary register` again, because the registration names the user too.",
      ),
    displayname: expecting("a text of 1 to 255 characters, or null", z.string().min(1).max(255).nullable())
      .prefault("{server} (preview)")
      .describe(
        "Display name of the pseudouser; {server} stands for the server name, null means the server name alone. People see it in " +
          "the join event, and clients name rooms without a name after it.",
      ),
  }),
  appservice: section("The listener that receives events from the homeserver.", {
    listen: listen()
      .prefault("127.0.0.1:9009")
      .describe("Address where Emissary listens for the homeserver. Only the homeserver needs to reach it."),
    url: httpUrl().meta({
      description: "URL where the homeserver reaches this listener. It must equal `url` in the registration.",
      examples: ["http://127.0.0.1:9009"],
    }),
    registration: path()
      .prefault("registration.yaml")
      .describe("Registration file, which the homeserver loads too. Relative to the folder of this file."),
  }),
  gateway: section("The client-server API for appservices and bots that act through the pseudouser.", {
    listen: listen()
      .prefault("127.0.0.1:9010")
      .describe("Address of the client-server API for tenants. They use it as the address of their homeserver."),
    front_door: yesOrNo()
      .prefault(false)
      .describe("Pass requests that are not from tenants to the homeserver. If false, Emissary refuses them."),
    persona_fallback: yesOrNo()
      .prefault(true)
      .describe(
        "Put the persona's name into the text of its messages, for clients without per-message profiles (MSC4144).",
      ),
    tenant_rate: wholeNumber(1, 1_000_000)
      .prefault(100)
      .describe(
        "Sustained requests per second of one tenant. A read counts as a fifth. Above it the answer is M_LIMIT_EXCEEDED.",
      ),
    tenant_burst: wholeNumber(1, 10_000_000)
      .prefault(5_000)
      .describe(
        "Requests that a tenant may make at once after a pause, for example when a bridge starts or backfills.",
      ),
  }),
  peek: section("Peeking: local users look into rooms that their server is not in.", {
    idle: duration({ atLeast: "10s" })
      .prefault("10m")
      .describe("How long a peeked room stays open after the user's last read."),
    wait: duration({ atLeast: "1s" })
      .prefault("30s")
      .describe("How long a user's request waits for the pseudouser to join the room."),
    rooms_per_user: wholeNumber(1, 10_000)
      .prefault(20)
      .describe("Maximum number of rooms that one user may peek into at once."),
    servers: globs().describe(
      "Servers through which users may peek, as globs; empty for all. One server of the room must match.",
    ),
    rooms: globs().describe("Rooms that users may peek into: IDs or aliases, as globs; empty for all."),
  }),
  admin: section("The admin API.", {
    listen: listen()
      .prefault("127.0.0.1:9011")
      .describe("Address of the admin API, which the other commands and your monitoring use. Keep it private."),
    token: expecting(ADMIN_TOKEN_EXPECTED, z.string().regex(ADMIN_TOKEN), { secret: true })
      .optional()
      .meta({
        description:
          "Token for the admin API, at least 16 characters. Required: here, in token_file, or in the environment.",
        examples: [SAMPLE_ADMIN_TOKEN],
      }),
    token_file: path()
      .optional()
      .describe("File with the token, instead of `token`. Relative to the folder of this file."),
  }),
  storage: section("The database.", {
    sqlite: path()
      .prefault("emissary.db")
      .describe("Database file; created if missing. Relative to the folder of this file."),
    durability: choice(["full", "process"])
      .prefault("full")
      .describe(
        "What acknowledged events survive. full: a power cut. process: only a crash of Emissary, but it is faster.",
      ),
    journal_keep: duration()
      .prefault("7d")
      .describe(
        "How long to keep received events. Emissary always keeps events that a consumer has not read, and the newest 50,000.",
      ),
    journal_max_size: size()
      .prefault("1GiB")
      .describe("Delete the oldest events sooner if all events take more than this. The same exceptions apply."),
    audit_keep: duration().prefault("90d").describe("How long to keep audit entries."),
    audit_max_size: size()
      .prefault("1GiB")
      .describe(
        "Delete the oldest audit entries sooner if the audit takes more than this. Half is reserved for your own actions.",
      ),
  }),
  attendance: section("Joining, staying in and leaving rooms.", {
    linger: duration()
      .prefault("10m")
      .describe(
        "How long the pseudouser stays in a room after the last lease ended. Emissary adds up to half of that at random, " +
          "so the time of the leave does not reveal when the last reader stopped. The time doubles for each further hour of " +
          "the last day in which users opened the room, up to six hours, while at most half of policy.max_rooms is used.",
      ),
    concurrency: wholeNumber(1, 64).prefault(4).describe("Maximum number of concurrent joins and leaves."),
    joins_per_second: expecting("a number above 0", z.number().positive())
      .prefault(5)
      .describe(
        "Maximum number of joins started per second. The homeserver does not limit appservices, so Emissary does.",
      ),
    join_timeout: duration({ atLeast: "1s" })
      .prefault("10m")
      .describe("Timeout of one join. Joining a large room over federation takes minutes."),
    join_reason: expecting("a text of 1 to 500 characters, or null", z.string().min(1).max(500).nullable())
      .prefault("Somebody at {server} looks into this room, or has a bot here.")
      .describe(
        "Reason in the pseudouser's join event (MSC2367), or null for none. Everybody in the room can read it. " +
          "{server} stands for the server name.",
      ),
    functional_member: yesOrNo()
      .prefault(true)
      .describe(
        "List the pseudouser in the room's io.element.functional_members (MSC4171), once per stay, if it has the power. " +
          "Clients then leave it out of the room's name.",
      ),
  }),
  policy: section("Which rooms the pseudouser may join, and for whom.", {
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
  }),
  aliases: section("Keeping rooms behind local aliases alive.", {
    keep: yesOrNo()
      .prefault(true)
      .describe("Keep the pseudouser in rooms that local aliases point to. The aliases then keep working."),
    sweep: duration({ atLeast: "1m" }).prefault("24h").describe("How often to check all aliases."),
    empty_rooms: choice(["keep", "release"])
      .prefault("keep")
      .describe("What to do with an aliased room that has no ordinary user left."),
    empty_after: duration({ atLeast: "1m" })
      .prefault("30d")
      .describe("How long `release` waits before it gives up such a room."),
  }),
  invites: section("Invites of local users.", {
    take_part: yesOrNo()
      .prefault(false)
      .describe(
        "Join rooms that local users are invited to, if policy allows, so your server takes part before they accept. " +
          "Needs a registration made with `emissary register --watch-invites`.",
      ),
    wait: duration({ atLeast: "1m" })
      .prefault("24h")
      .describe("How long the pseudouser stays for an unanswered invite."),
    joins_per_server: budget().prefault("10/1h").describe("Joins that invites from one remote server may cause."),
    joins_per_inviter: budget().prefault("3/1h").describe("Joins that invites from one user may cause."),
  }),
  log: section("The log, on standard error.", {
    level: choice(["error", "warn", "info", "debug"]).prefault("info").describe("Minimum level logged."),
    format: choice(["text", "json"])
      .prefault("text")
      .describe("`text` for people, `json` for programs (one object per line)."),
  }),
};
export type SectionName = keyof typeof sections;
