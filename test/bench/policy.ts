/**
 * `npm run bench:policy`: what a verdict costs with 10,000 rules of each kind from the configuration, the operator and two policy
 * lists, over 10,000 attended rooms in SQLite, compared with the same verdict without a rule. Both take turns, and the ratios count
 * more than the figures.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import DatabaseConstructor from "better-sqlite3";
import type { RoomId, ServerName, UserId } from "../../src/model/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { Budgets } from "../../src/policy/budgets.ts";
import { budgetsOf } from "../../src/policy/budget-subjects.ts";
import { Policy } from "../../src/policy/policy.ts";
import type { Ask } from "../../src/policy/inputs.ts";
import { RuleBook } from "../../src/policy/rule-book.ts";
import type { EntityKind, PolicyRule, RuleSource } from "../../src/policy/rule.ts";
import { ServerAcls } from "../../src/policy/server-acl.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { SERVER } from "./homeserver.ts";
import { populate } from "./populate.ts";
import { NOWHERE } from "../support/pointers.ts";

const ROOMS = 10_000;
const RULES = 10_000;
const ROUNDS = 20_000;
const WARM_UP = 3_000;
/** µs for a verdict of which everything is remembered. */
const GOAL = 50;

const LISTS = ["!list-a:lists.example", "!list-b:lists.example"] as RuleSource[];
const SOURCES: readonly RuleSource[] = ["config", "operator", ...LISTS];
const PLENTY = { joins: 1_000_000, per: 1 };
const LOOK = {
  joinRule: "public",
  worldReadable: true,
  joinedMembers: 100,
  version: "12",
  encryption: null,
};

const folder = mkdtempSync(path.join(tmpdir(), "emissary-bench-policy-"));
let isSlow = false;
try {
  const file = path.join(folder, "emissary.db");
  populate(file, ROOMS, ROOMS);
  describeRooms(file);
  const storage = new SqliteStorage(file);
  const book = new RuleBook();
  const start = performance.now();
  for (const source of SOURCES) book.replace(source, rulesOf(source));
  const count = book.rules().length.toLocaleString("en");
  console.log(`${count} rules from ${SOURCES.length} sources, indexed in ${(performance.now() - start).toFixed(0)} ms`);
  const full = policyWith(storage, book);
  const empty = policyWith(storage, new RuleBook());

  const few = (n: number): Ask => askFor(`!room${String(1 + (n % 100)).padStart(10, "0")}:remote.example`);
  const all = (n: number): Ask => askFor(`!room${String(1 + (n % ROOMS)).padStart(10, "0")}:remote.example`);
  const outside = (n: number): Ask => askFor(`!outside${n % 100}:server${n % 100}.example`);
  const cases: readonly [string, (n: number) => Ask, "hold" | "join"][] = [
    ["in 100 rooms, all remembered", few, "hold"],
    ["outside of 100 rooms, all remembered", outside, "join"],
    [`in ${ROOMS.toLocaleString("en")} rooms, nothing remembered`, all, "hold"],
  ];
  console.log(`\n${"a verdict".padEnd(42)}   p50 µs   p99 µs   no rules: p50   p99    ratio`);
  for (const [name, ask, stage] of cases) {
    const [rules, none] = await measured([(n) => full.judge(ask(n), stage), (n) => empty.judge(ask(n), stage)]);
    if (rules === undefined || none === undefined) throw new Error("nothing was measured");
    const ratio = (rules.p50 / none.p50).toFixed(2);
    console.log(
      `${name.padEnd(42)} ${us(rules.p50, 8)} ${us(rules.p99, 8)} ${us(none.p50, 15)} ${us(none.p99, 5)} ${ratio.padStart(8)}`,
    );
    if (name.endsWith("all remembered") && rules.p50 > GOAL) isSlow = true;
  }

  console.log(`\n${"what it is made of, all remembered".padEnd(42)}   p50 µs   p99 µs`);
  const room = (n: number): RoomId => few(n).roomId;
  const acl = JSON.stringify({ allow: ["*"], deny: globs("server", "acl", 3_000) });
  const acls = new ServerAcls();
  const parts: Record<string, (n: number) => unknown> = {
    "the room (ledger)": (n) => storage.ledger.room(room(n)),
    "the numbers of rooms (attendance)": (n) => storage.attendance.counts(room(n)),
    "its cool-down": (n) => storage.coolDowns.of(room(n), 1),
    "four answers of the rules": (n) => book.matches(entitiesOf(n % 100)),
    "four answers of the rules, asked anew": (n) => book.matches(entitiesOf(n)),
    "an access list of 3,000": (n) => acls.keepsOut(acl, `server${n}.example` as ServerName),
  };
  for (const [name, part] of Object.entries(parts)) {
    const [figures] = await measured([part]);
    console.log(`${name.padEnd(42)} ${us(figures?.p50 ?? NaN, 8)} ${us(figures?.p99 ?? NaN, 8)}`);
  }
  storage.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${isSlow ? "✗" : "✓"} goal: a verdict of which all is remembered < ${GOAL} µs`);
process.exitCode = isSlow ? 1 : 0;

interface Figures {
  readonly p50: number;
  readonly p99: number;
}

/** Runs each in turn, and says how long they took, in µs. */
async function measured(ways: readonly ((n: number) => unknown)[]): Promise<Figures[]> {
  const times = ways.map(() => new Float64Array(ROUNDS));
  for (let n = -WARM_UP; n < ROUNDS; n += 1) {
    for (const [at, way] of ways.entries()) {
      const start = performance.now();
      await way(n + WARM_UP);
      if (n >= 0 && times[at] !== undefined) times[at][n] = (performance.now() - start) * 1_000;
    }
  }
  return times.map((each) => {
    const sorted = each.sort();
    return { p50: sorted[ROUNDS >> 1] ?? NaN, p99: sorted[Math.floor(ROUNDS * 0.99)] ?? NaN };
  });
}

function us(value: number, width: number): string {
  return value.toFixed(1).padStart(width);
}

function policyWith(storage: SqliteStorage, rules: RuleBook): Policy {
  return new Policy({
    own: `@:${SERVER}` as UserId,
    ledger: storage.ledger,
    looker: { look: async () => LOOK },
    attended: storage.attendance,
    tenants: { byId: () => null },
    rules,
    pointers: NOWHERE,
    coolDowns: storage.coolDowns,
    budgets: new Budgets(
      budgetsOf({ joinsPerUser: PLENTY, joinsPerTenant: PLENTY, joinsPerServer: PLENTY, joinsInAll: PLENTY }),
      systemClock,
    ),
    limits: { maxRooms: 100_000, maxMembers: 100_000, maxJoinsUnderWay: 1_000, refuseVersions: ["1"] },
    clock: systemClock,
  });
}

function askFor(roomId: string): Ask {
  const via = ["remote.example", "other.example"] as ServerName[];
  return { roomId: roomId as RoomId, holder: { kind: "alias", name: "alias" }, via };
}

function entitiesOf(n: number): { kind: EntityKind; text: string }[] {
  return [
    { kind: "room", text: `!room${n}:remote.example` },
    { kind: "room", text: `#room${n}:remote.example` },
    { kind: "server", text: `server${n}.example` },
    { kind: "user", text: `@maker${n}:server${n}.example` },
  ];
}

/** Each room has a maker of its own, on a server of its own, and a name: four entities that rules may be about. */
function describeRooms(file: string): void {
  const db = new DatabaseConstructor(file);
  const put = db.prepare(
    "INSERT OR REPLACE INTO room_state (room_nr, field, value, event_id, seq, generation) " +
      "SELECT nr, ?, replace(?, '%', nr), printf('$state%09d', nr), 1, 1 FROM rooms",
  );
  put.run("creator", "@maker%:server%.example");
  put.run("alias", "#room%:remote.example");
  put.run("version", "11");
  db.close();
}

function rulesOf(source: RuleSource): PolicyRule[] {
  const isList = LISTS.includes(source);
  const kinds: readonly EntityKind[] = isList ? ["room", "server", "user"] : ["room", "server", "user", "tenant"];
  return kinds.flatMap((kind) =>
    globs(kind, source, RULES).map((entity, n): PolicyRule => {
      const hashed = isList && n % 20 === 0;
      const hash = createHash("sha256").update(entity).digest("base64").replace("=", "");
      return { kind, verdict: "deny", entity: hashed ? hash : entity, hashed, reason: "spam", source };
    }),
  );
}

/** Of all shapes that are in use, and about nothing that is asked for. */
function globs(kind: EntityKind, source: string, count: number): string[] {
  const sigil = { room: "!", server: "", user: "@", tenant: "" }[kind];
  const of = source.replace(/\W/g, "");
  return Array.from({ length: count }, (_, n) => {
    const name = createHash("sha256").update(`${source}${n}`).digest("hex").slice(0, 12);
    const end = kind === "tenant" ? "" : `.${of}.bad`;
    const shapes = [
      `${sigil}${name}${end}`,
      `${sigil}${name}${end}`,
      `*${name}${end}`,
      `*.${name.slice(0, 5)}${end}`,
      `${sigil}${name.slice(0, 6)}*`,
      `*${name}*`,
      `${sigil}${name}?${end}`,
      `${sigil}s?am${name.slice(0, 4)}*${end}`,
    ];
    return shapes[n % shapes.length] ?? name;
  });
}
