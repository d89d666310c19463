import { createServer, type IncomingMessage } from "node:http";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { CHECKS, CONFIGURATION, examine } from "../../../src/cli/doctor/examine.ts";
import { type Level, thisMachine, type Machine } from "../../../src/cli/doctor/context.ts";
import type { ServerName } from "../../../src/model/ids.ts";
import { parsedObject, stringAt, type JsonObject } from "../../../src/model/json.ts";
import { makeRegistration, sendersOf } from "../../../src/platform/registration.ts";
import { programVersion } from "../../../src/platform/version.ts";
import { temporaryFolder } from "../config/folder.ts";
import { ADMIN_TOKEN, freePort, listening } from "./terminal.ts";

const AS_TOKEN = "the-as-token-of-a-test";
const HS_TOKEN = "the-hs-token-of-a-test";
const OWN = "@:example.org";
const GIB = 1024 ** 3;

type Answer = readonly [status: number, body: JsonObject | string];
const no = (status: number, errcode: string, error = "no", more: JsonObject = {}): Answer => [
  status,
  { errcode, error, ...more },
];

/** What differs from a world where all is well. Null for a server that is not there. */
interface Fault {
  readonly config?: Readonly<Record<string, JsonObject>>;
  readonly registration?: JsonObject;
  /** The pseudouser's. */
  readonly localpart?: string;
  /** By the last part of the path; `acting` is whoami as the pseudouser. */
  readonly homeserver?: Readonly<Record<string, Answer>> | null;
  readonly date?: string;
  readonly status?: JsonObject | null;
  readonly adminToken?: string;
  readonly daemonDate?: string;
  /** What comes of pinging each of the tenants. */
  readonly tenants?: Readonly<Record<string, JsonObject>>;
  /** True where a ping that the homeserver says it delivered did not come to the daemon. */
  readonly isPingedElsewhere?: true;
  /** True where a ping came to the daemon whatever the homeserver says of it. */
  readonly isPingDelivered?: true;
  /** What appservice.listen answers to our hs_token. */
  readonly listener?: Answer | null;
  readonly machine?: Partial<Machine>;
  readonly prepare?: (folder: string) => void;
}

const HOMESERVER: Readonly<Record<string, Answer>> = {
  versions: [200, { versions: ["r0.6.1", "v1.1", "v1.12"] }],
  whoami: [200, { user_id: "@_emissary:example.org" }],
  acting: [200, { user_id: OWN }],
  reserved: no(403, "M_FORBIDDEN", "Application service has not registered this user"),
  register: no(400, "M_USER_IN_USE"),
  room_summary: no(404, "M_NOT_FOUND"),
  summary: no(404, "M_UNRECOGNIZED"),
  ping: [200, { duration_ms: 3 }],
};

const STATUS: JsonObject = {
  version: programVersion(),
  pseudouser: OWN,
  ready: true,
  not_ready_because: null,
  uptime_ms: 61_000,
  homeserver: { url: "http://127.0.0.1:8008", server_name: "example.org" },
  rooms: { present: 3, joining: 0, leaving: 0, refused: 0, loading: 0 },
  leases: {},
  journal: { first_seq: 1, last_seq: 99, bytes: 1, oldest_at: 1, held_by: [] },
  restored: null,
  audit: { entries: 0, bytes: 0, oldest_at: null },
  intake: { transactions: 50, events: 99, duplicates: 0, set_aside: 0, late: 0, last_at: Date.UTC(2025, 0, 2) },
  last_ping: { transaction_id: "of yesterday", at: 1 },
  delivery: { state: "flowing", since: null, cause: null },
  tenants: 0,
  own_invites: "declined",
  tenant_deliveries: [],
  policy: {
    rooms_attended: 3,
    max_rooms: 1000,
    joins_under_way: 1,
    max_joins_under_way: 500,
    budgets: [],
    cool_downs: {},
  },
};

function partOf(request: IncomingMessage): string {
  const url = new URL(request.url ?? "", "http://homeserver");
  if (url.searchParams.get("user_id")?.includes("doctor") === true) return "reserved";
  if (url.searchParams.has("user_id") && url.pathname.endsWith("whoami")) return "acting";
  if (url.pathname.includes("/room_summary/")) return "room_summary";
  if (url.pathname.includes("/summary/")) return "summary";
  return url.pathname.split("/").at(-1) ?? "";
}

async function serverOf(
  answer: (request: IncomingMessage, body: JsonObject) => Answer,
  date?: string,
): Promise<number> {
  const server = createServer((request, response) => {
    void buffer(request).then((received) => {
      const [status, body] = answer(request, parsedObject(received));
      if (date !== undefined) response.setHeader("date", date);
      response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  return listening(server);
}

function tenantOf(id: string): JsonObject {
  const nothing = {
    users: null,
    overlaps: [],
    grants: [],
    users_fault: null,
    sync_anew: null,
    ephemeral: false,
    max_transaction: null,
    ca: null,
    paused_at: null,
    delivery: null,
  };
  return {
    id,
    sender: `@_emissary_${id}:example.org`,
    url: "http://127.0.0.1:1",
    created_at: 1,
    leases: 0,
    ...nothing,
  };
}

/** @param pings what has come to the daemon */
async function adminOf(fault: Fault, pings: string[]): Promise<number> {
  const { status = {}, adminToken = ADMIN_TOKEN, daemonDate } = fault;
  if (status === null) return freePort();
  return serverOf((request): Answer => {
    if (request.url === "/health") return [200, { status: "alive" }];
    if (request.headers.authorization === `Bearer ${adminToken}`) {
      const tenants = fault.tenants ?? {};
      const [, pinged] = /tenants\/(.+)\/ping$/.exec(request.url ?? "") ?? [];
      if (pinged !== undefined) return [200, tenants[pinged] ?? {}];
      if (request.url?.endsWith("/tenants") === true) return [200, { tenants: Object.keys(tenants).map(tenantOf) }];
      const [ping] = pings.slice(-1);
      const seen = ping === undefined ? {} : { last_ping: { transaction_id: ping, at: 2 } };
      return [200, { ...STATUS, tenants: Object.keys(tenants).length, ...seen, ...status }];
    }
    return no(401, "M_UNKNOWN_TOKEN", "no", { "org.matrix.msc1777.code": "unknown-token" });
  }, daemonDate);
}

/** Makes the world with its fault, and every check in it. */
async function diagnose(fault: Fault) {
  const folder = temporaryFolder();
  const { homeserver = {}, listener = [200, {}] } = fault;
  const pings: string[] = [];
  const homeserverPort =
    homeserver === null
      ? await freePort()
      : await serverOf((request, body) => {
          const part = partOf(request);
          const answer = { ...HOMESERVER, ...homeserver }[part] ?? no(404, "");
          const id = stringAt(body, "transaction_id");
          const isDelivered = answer[0] === 200 || fault.isPingDelivered === true;
          if (part === "ping" && isDelivered && id !== null && fault.isPingedElsewhere !== true) pings.push(id);
          return answer;
        }, fault.date);
  const listenerPort = listener === null ? await freePort() : await serverOf(() => listener);
  const url = `http://127.0.0.1:${listenerPort}`;
  const config: Record<string, JsonObject> = {
    homeserver: { url: `http://127.0.0.1:${homeserverPort}`, server_name: "example.org" },
    appservice: { url, listen: `127.0.0.1:${listenerPort}` },
    admin: { listen: `127.0.0.1:${await adminOf(fault, pings)}`, token: ADMIN_TOKEN },
  };
  if (fault.localpart !== undefined) config["pseudouser"] = { localpart: fault.localpart };
  for (const [section, values] of Object.entries(fault.config ?? {}))
    config[section] = { ...config[section], ...values };
  const registration = makeRegistration({
    url,
    serverName: "example.org" as ServerName,
    localpart: fault.localpart ?? "",
    tokens: { asToken: AS_TOKEN, hsToken: HS_TOKEN },
  });
  const path = join(folder, "emissary.yaml");
  writeFileSync(path, stringify(config), { mode: 0o600 });
  writeFileSync(join(folder, "registration.yaml"), stringify({ ...registration, ...fault.registration }), {
    mode: 0o600,
  });
  fault.prepare?.(folder);
  const roomy: Partial<Machine> = { space: async () => ({ free: 90 * GIB, total: 100 * GIB }) };
  const findings = await examine(
    { path, env: {} },
    { ...thisMachine, ...roomy, holderOf: async () => null, pingTimeout: 300, ...fault.machine },
  );
  expect(JSON.stringify(findings)).not.toMatch(new RegExp([AS_TOKEN, HS_TOKEN, ADMIN_TOKEN].join("|")));
  return findings;
}

type Row = [what: string, fault: Fault, found: Readonly<Record<string, [level: Level, words?: RegExp]>>];

const WITHOUT_TOKEN: Row[2] = {
  "reserved-namespaces": ["skipped"],
  namespace: ["skipped"],
  pseudouser: ["skipped"],
  "room-summary": ["skipped"],
  address: ["skipped"],
};

const OWN_USER = { exclusive: true, regex: "^@:example\\.org$" };
const SENDERS = { exclusive: true, regex: sendersOf("example.org") };
const IRC_USERS = { exclusive: true, regex: "@_irc_.*:example\\.org" };
const NO_ALIASES = { aliases: { keep: false } };
const EVERYBODY = { exclusive: false, regex: "^@.*:example\\.org$" };

const FAULTS: readonly Row[] = [
  ["nothing", {}, {}],
  [
    "a file that others may read",
    { prepare: (folder) => chmodSync(join(folder, "registration.yaml"), 0o644) },
    { "file-modes": ["warning", /chmod 600 \S+registration\.yaml$/] },
  ],
  [
    "a database that others may read",
    { prepare: (folder) => writeFileSync(join(folder, "emissary.db"), "SQLite format 3\0", { mode: 0o640 }) },
    { "file-modes": ["warning", /emissary\.db/] },
  ],
  [
    "a folder where nothing can be made",
    { config: { storage: { sqlite: "registration.yaml/emissary.db" } } },
    { database: ["failure", /storage\.sqlite/] },
  ],
  [
    "a folder that is not there",
    { config: { storage: { sqlite: "missing/emissary.db" } } },
    { database: ["failure", /missing/], disk: ["skipped"] },
  ],
  [
    "another program's file for a database",
    { prepare: (folder) => writeFileSync(join(folder, "emissary.db"), "# a shopping list", { mode: 0o600 }) },
    { database: ["failure", /no SQLite database/] },
  ],
  [
    "a folder for a database",
    { prepare: (folder) => mkdirSync(join(folder, "emissary.db"), { mode: 0o700 }) },
    { database: ["failure", /cannot be written/] },
  ],
  [
    "a database of another user's",
    {
      prepare: (folder) => writeFileSync(join(folder, "emissary.db"), "", { mode: 0o600 }),
      machine: { uid: (process.getuid?.() ?? 0) + 1 },
    },
    { database: ["warning", /owned by user \d+, and this is user \d+/] },
  ],
  [
    "a disk with little space",
    { machine: { space: async () => ({ free: GIB, total: 100 * GIB }) } },
    { disk: ["warning", /1\.0 GiB, 1\.0 %/] },
  ],
  [
    "a small disk with little space",
    { machine: { space: async () => ({ free: GIB / 10, total: GIB }) } },
    { disk: ["warning"] },
  ],
  ["a full disk", { machine: { space: async () => ({ free: 0, total: GIB }) } }, { disk: ["failure"] }],
  [
    "no homeserver",
    { homeserver: null },
    {
      ...WITHOUT_TOKEN,
      homeserver: ["failure", /nothing listens there.*curl http/],
      "homeserver-version": ["skipped"],
      registration: ["skipped"],
    },
  ],
  [
    "a web server in the homeserver's place",
    { homeserver: { versions: [200, "<html>Welcome to \u001b[2Jnginx"] } },
    { homeserver: ["failure", /no homeserver that works: status 200/], "homeserver-version": ["skipped"] },
  ],
  [
    "a homeserver of long ago",
    { homeserver: { versions: [200, { versions: ["r0.5.0", "r0.6.1"] }] } },
    { "homeserver-version": ["failure", /r0\.6\.1/] },
  ],
  [
    "a homeserver without the ping",
    { homeserver: { versions: [200, { versions: ["v1.4"] }], ping: no(404, "M_UNRECOGNIZED") } },
    { "homeserver-version": ["warning", /v1\.4/], address: ["skipped", /cannot ping/] },
  ],
  [
    "a homeserver that is to refuse invites and does not know how",
    { config: { policy: { own_invites: "block" } }, homeserver: { versions: [200, { versions: ["v1.17"] }] } },
    { "homeserver-version": ["warning", /m\.invite_permission_config/] },
  ],
  [
    "no summaries of rooms",
    { homeserver: { room_summary: no(404, "M_UNRECOGNIZED") } },
    { "room-summary": ["failure", /msc3266/] },
  ],
  [
    "the older summaries of rooms",
    { homeserver: { room_summary: no(404, "M_UNRECOGNIZED"), summary: no(404, "M_NOT_FOUND") } },
    {},
  ],
  [
    "a clock that is behind",
    { date: new Date(Date.now() + 95_000).toUTCString() },
    { clock: ["warning", /[0-9]+ s behind the homeserver's/] },
  ],
  [
    "a daemon's clock that is behind",
    { daemonDate: new Date(Date.now() - 3_600_000).toUTCString() },
    { clock: ["warning", /ahead of the daemon's/] },
  ],
  [
    "another as_token",
    { homeserver: { whoami: no(401, "M_UNKNOWN_TOKEN", `Invalid token ${AS_TOKEN}`) } },
    { ...WITHOUT_TOKEN, registration: ["failure", /M_UNKNOWN_TOKEN: Invalid token ….*restart/] },
  ],
  [
    "another server's name",
    { homeserver: { whoami: [200, { user_id: "@_emissary:elsewhere.org" }] } },
    { registration: ["failure", /homeserver\.server_name/] },
  ],
  [
    "a homeserver that fails at us",
    { homeserver: { whoami: [500, "oops"] } },
    { registration: ["failure", /status 500/] },
  ],
  ["a sender that the homeserver does not know yet", { homeserver: { whoami: no(403, "M_FORBIDDEN") } }, {}],
  ["limits", { registration: { rate_limited: true } }, { "rate-limits": ["warning", /“true”.*rate_limited: false/] }],
  [
    "aliases that the homeserver is not asked to tell of",
    { registration: { namespaces: { users: [OWN_USER], aliases: [], rooms: [] } } },
    { "watched-namespaces": ["warning", /aliases\.keep.*register --force --aliases/] },
  ],
  [
    "invites that the homeserver is not asked to tell of",
    { config: { invites: { take_part: true } } },
    { "watched-namespaces": ["failure", /invites\.take_part.*register --force --watch-invites/] },
  ],
  [
    "tenants' senders whose invites nobody tells of",
    {
      registration: {
        namespaces: { users: [OWN_USER], aliases: [{ ...EVERYBODY, regex: "^#.*:example\\.org$" }], rooms: [] },
      },
    },
    {
      "watched-namespaces": [
        "warning",
        /invite a bot by its own|invites of tenants by their own IDs.*register --force/,
      ],
    },
  ],
  [
    "users that nobody needs to be told of",
    {
      registration: {
        namespaces: { users: [OWN_USER, EVERYBODY], aliases: [{ ...EVERYBODY, regex: "^#" }], rooms: [] },
      },
    },
    { "watched-namespaces": ["warning", /invites\.take_part.*--no-watch-invites/] },
  ],
  [
    "users that are reserved, as the homeserver knows",
    {
      registration: { namespaces: { users: [OWN_USER, SENDERS, IRC_USERS], aliases: [], rooms: [] } },
      config: NO_ALIASES,
    },
    {},
  ],
  [
    "users that were reserved since the homeserver loaded the registration",
    {
      registration: { namespaces: { users: [OWN_USER, SENDERS, IRC_USERS], aliases: [], rooms: [] } },
      config: NO_ALIASES,
      homeserver: { reserved: no(403, "M_FORBIDDEN", "Application service cannot masquerade as this user") },
    },
    { "reserved-namespaces": ["failure", /@_irc_.*app_service_config_files.*restart it/] },
  ],
  [
    "a namespace that was changed",
    {
      homeserver: { acting: no(403, "M_FORBIDDEN", "cannot masquerade"), register: no(400, "M_EXCLUSIVE", "Invalid") },
    },
    {
      namespace: ["failure", /not ours: “M_EXCLUSIVE: Invalid”/],
      pseudouser: ["skipped"],
      "room-summary": ["skipped"],
    },
  ],
  [
    "a user that exists and is not ours",
    { homeserver: { acting: no(403, "M_FORBIDDEN", "cannot masquerade") } },
    { namespace: ["failure", /cannot masquerade/], pseudouser: ["skipped"], "room-summary": ["skipped"] },
  ],
  [
    "a namespace that another appservice has as well",
    { homeserver: { register: no(400, "M_EXCLUSIVE") } },
    { namespace: ["failure", /reserved by another appservice/] },
  ],
  [
    "a pseudouser that is refused",
    { homeserver: { acting: no(403, "M_FORBIDDEN"), register: no(400, "M_INVALID_USERNAME") } },
    { pseudouser: ["failure", /empty.*--localpart _server --force/], "room-summary": ["skipped"] },
  ],
  [
    "a pseudouser that is refused under a name of its own",
    {
      localpart: "_server",
      status: { pseudouser: "@_server:example.org" },
      homeserver: { acting: no(403, "M_FORBIDDEN"), register: no(403, "M_FORBIDDEN", "closed") },
    },
    {
      pseudouser: ["failure", /@_server:example\.org: “M_FORBIDDEN: closed”.*another name/],
      "room-summary": ["skipped"],
    },
  ],
  [
    "a pseudouser that is taken for the sender",
    { homeserver: { acting: [200, { user_id: "@_emissary:example.org" }] } },
    { pseudouser: ["failure", /taken for “@_emissary:example\.org”/] },
  ],
  [
    "a pseudouser that was not there",
    { homeserver: { acting: no(403, "M_FORBIDDEN"), register: [200, { user_id: OWN }] } },
    { "room-summary": ["skipped"] },
  ],
  [
    "no daemon",
    { status: null, listener: null },
    {
      daemon: ["failure", /emissary run --config/],
      address: ["skipped", /not running/],
      delivery: ["skipped"],
      tenants: ["skipped"],
    },
  ],
  [
    "a daemon with another admin token",
    { adminToken: "another-admin-token" },
    { daemon: ["failure", /does not accept the admin token/], delivery: ["skipped"], tenants: ["skipped"] },
  ],
  [
    "another program at admin.listen",
    { status: { version: 5 } },
    { daemon: ["failure", /another form at version/], delivery: ["skipped"], tenants: ["skipped"] },
  ],
  [
    "a daemon that is not ready",
    { status: { ready: false, not_ready_because: "The \u202ehomeserver is away." } },
    { daemon: ["failure", /homeserver is away/], delivery: ["skipped"] },
  ],
  ["a daemon that was not restarted", { status: { version: "0.0.1" } }, { daemon: ["warning", /“0\.0\.1”/] }],
  [
    "an admin port that nobody knows",
    { config: { admin: { listen: "127.0.0.1:0" } } },
    { daemon: ["skipped"], delivery: ["skipped"], tenants: ["skipped"] },
  ],
  [
    "a daemon that holds our database and was started with another configuration",
    { status: null, listener: null, machine: { holderOf: async () => "It is in use by process 12." } },
    {
      daemon: ["failure"],
      instances: ["failure", /process 12/],
      address: ["skipped"],
      delivery: ["skipped"],
      tenants: ["skipped"],
    },
  ],
  [
    "another Emissary at admin.listen",
    { status: { pseudouser: "@:elsewhere.org" } },
    { instances: ["failure", /“@:elsewhere\.org”/] },
  ],
  [
    "a daemon that listens for the homeserver and not at admin.listen",
    { status: null },
    { daemon: ["failure"], instances: ["failure", /knows our hs_token/], delivery: ["skipped"], tenants: ["skipped"] },
  ],
  [
    "another Emissary with our registration",
    { isPingedElsewhere: true },
    {
      instances: ["failure", /not by this daemon.*the same registration.*Stop the other one/],
      address: ["skipped", /somebody else/],
    },
  ],
  [
    "another Emissary with our registration since ours was made",
    { isPingedElsewhere: true, status: { last_ping: null } },
    { instances: ["failure", /not by this daemon/], address: ["skipped"] },
  ],
  [
    "an address that leads nowhere",
    { homeserver: { ping: no(502, "M_CONNECTION_FAILED", "refused") } },
    { address: ["failure", /M_CONNECTION_FAILED: refused.*Emissary listens/] },
  ],
  [
    "a homeserver that is just trying us again, and reports a ping that came as failed",
    {
      homeserver: { ping: no(502, "M_CONNECTION_FAILED", "AlreadyCalled: Tried to cancel an already-called event.") },
      isPingDelivered: true,
    },
    {},
  ],
  [
    "a listener that was moved",
    { homeserver: { ping: no(502, "M_CONNECTION_FAILED") }, listener: null },
    { address: ["failure", /Nothing listens at appservice\.listen/] },
  ],
  [
    "an address that swallows",
    { homeserver: { ping: no(504, "M_CONNECTION_TIMEOUT") } },
    { address: ["failure", /no answer in time/] },
  ],
  ["no address", { homeserver: { ping: no(400, "M_URL_NOT_SET") } }, { address: ["failure", /url: null/] }],
  [
    "another hs_token at the homeserver",
    {
      homeserver: { ping: no(502, "M_BAD_STATUS", `HTTP 403 ?access_token=${HS_TOKEN}`, { status: 403, body: "{}" }) },
    },
    { address: ["failure", /access_token=….*another hs_token/] },
  ],
  [
    "a daemon with another hs_token",
    {
      homeserver: { ping: no(502, "M_BAD_STATUS", "HTTP 403", { status: 403 }) },
      listener: no(403, "M_FORBIDDEN", "no", { "org.matrix.msc1777.code": "forbidden" }),
    },
    { address: ["failure", /The daemon runs with another hs_token/] },
  ],
  [
    "a registration that was changed after both had read it",
    { listener: no(403, "M_FORBIDDEN", "no", { "org.matrix.msc1777.code": "forbidden" }) },
    { address: ["warning", /restart the daemon/] },
  ],
  [
    "another program at our address",
    { homeserver: { ping: no(502, "M_BAD_STATUS", "HTTP 502", { status: 502, body: "<html>" }) }, listener: [404, ""] },
    { address: ["failure", /“<html>”.*Another program/] },
  ],
  [
    "another ID",
    { homeserver: { ping: no(403, "M_FORBIDDEN", "Mismatching") } },
    { address: ["failure", /under the ID “emissary”/] },
  ],
  ["a ping that fails", { homeserver: { ping: no(500, "M_UNKNOWN") } }, { address: ["warning", /M_UNKNOWN/] }],
  [
    "events that do not come",
    { status: { delivery: { state: "stalled", since: Date.UTC(2025, 0, 3), cause: "M_CONNECTION_FAILED: refused" } } },
    { delivery: ["failure", /since 2025-01-03.*last transaction came at 2025-01-02.*refused/] },
  ],
  [
    "events that are late",
    { status: { delivery: { state: "silent", since: Date.UTC(2025, 0, 3), cause: null } } },
    { delivery: ["warning", /stuck or far behind/] },
  ],
  [
    "tenants of which one does not answer",
    {
      tenants: {
        good: { ok: true, ms: 3 },
        old: { ok: false, why: "bad-status", status: 404, sentence: "There is no such path." },
        bad: { ok: false, why: "bad-status", status: 401, sentence: "No." },
      },
    },
    { tenants: ["warning", /Of 3 tenants that are called, 1 do not .*bad: “No\.”/] },
  ],
];

test.each(FAULTS)("%s", async (_what, fault, expected) => {
  const findings = await diagnose(fault);
  const levels = Object.fromEntries(
    findings.filter(({ level }) => level !== "ok").map(({ check, level }) => [check, level]),
  );
  expect(levels).toEqual(Object.fromEntries(Object.entries(expected).map(([check, [level]]) => [check, level])));
  for (const finding of findings) {
    const words = expected[finding.check]?.[1];
    if (words !== undefined) expect(`${finding.what} ${finding.why ?? ""} ${finding.do ?? ""}`).toMatch(words);
    if (finding.level === "warning" || finding.level === "failure") expect(finding.do).not.toBeNull();
  }
});

test("a configuration that cannot be used, and then nothing else", async () => {
  const [first, ...rest] = await diagnose({ config: { homeserver: { url: "gopher://here" } } });
  expect(first).toMatchObject({ check: CONFIGURATION, level: "failure" });
  expect(first?.what).toContain("homeserver.url");
  expect(rest.map(({ check, level }) => [check, level])).toEqual(Object.keys(CHECKS).map((name) => [name, "skipped"]));
});

test("every check has a fault here", () => {
  const shown = FAULTS.flatMap(([, , found]) => Object.keys(found).filter((check) => found[check]?.[0] !== "skipped"));
  expect(Object.keys(CHECKS).filter((check) => !shown.includes(check))).toEqual([]);
});
