// Who may import whom (docs/architecture.md, "Layout"). A folder not listed under `may` may import src/model only.
const may = {
  intake: ["ledger", "platform"],
  ledger: [],
  policy: ["ledger"],
  feed: ["ledger", "policy"],
  leases: ["policy", "ledger"],
  attendance: ["leases", "ledger", "policy"],
  reconcile: ["ledger", "attendance"],
  gateways: ["leases", "attendance", "ledger", "policy", "feed", "reconcile", "masking", "platform"],
  homeserver: ["attendance", "policy", "leases", "reconcile", "gateways", "platform"],
  storage: ["ledger", "leases", "attendance", "policy", "feed", "reconcile", "gateways"],
  platform: [],
};

/** What others' programs import, on its own: no folder of ours, no package. */
const apart = "^src/bridge/";

const folders = Object.entries(may).map(([folder, others]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import src/model${others.map((o) => `, src/${o}`).join("")} and nothing else of ours`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: { path: "^src/", pathNot: `^src/(${["model", folder, ...others].join("|")})/` },
}));

/** Folders that decide and keep the rules: they know no HTTP, no SQL and no Matrix SDK, only the interfaces beside them. */
const inner = "^src/(model|ledger|policy|feed|leases|attendance|reconcile)/";

/** The stores of what is true of rooms, and of the journal. */
const LEDGER_STORES = "changes|journal-store|ledger-store|load-store|redactions|rooms|stays";

module.exports = {
  forbidden: [
    { name: "no-cycle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "model-imports-nothing",
      severity: "error",
      from: { path: "^src/model/" },
      to: { path: "^src/", pathNot: "^src/model/" },
    },
    ...folders,
    {
      name: "bridge-alone",
      severity: "error",
      from: { path: apart },
      to: { pathNot: apart },
    },
    {
      name: "masking-alone",
      comment: "clients import src/masking, in browsers too: no folder of ours, no package, nothing of Node",
      severity: "error",
      from: { path: "^src/masking/" },
      to: { pathNot: "^src/masking/" },
    },
    {
      name: "peekable-alone",
      comment:
        "other programs import src/policy/peekable, in browsers too: no folder of ours, no package, nothing of Node",
      severity: "error",
      from: { path: "^src/policy/peekable/" },
      to: { pathNot: "^src/policy/peekable/" },
    },
    {
      name: "gateways-apart",
      comment: "a gateway never imports another one",
      severity: "error",
      from: { path: "^src/gateways/([^/]+)/" },
      to: { path: "^src/gateways/", pathNot: "^src/gateways/$1/" },
    },
    {
      name: "admin-api-is-data",
      comment:
        "what the admin API says of itself is read by the CLI and by scripts, too: no server, no storage, no part of the daemon",
      severity: "error",
      from: { path: "^src/gateways/admin/api/" },
      to: {
        pathNot:
          "^(src/(gateways/admin/api|model|policy|platform/(expressions|registration))|node_modules/zod|path|crypto)",
      },
    },
    {
      name: "contracts-only",
      comment: "storage and homeserver fulfil contracts: of other folders they see types only",
      severity: "error",
      from: { path: "^src/(storage|homeserver)/" },
      to: {
        path: "^src/(ledger|leases|attendance|policy|feed|reconcile|gateways)/",
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "ledger-stores-apart",
      comment: "what writes facts knows nothing of who follows from them (src/ledger/follower.ts)",
      severity: "error",
      from: { path: `^src/storage/sqlite/(${LEDGER_STORES})\\.ts$` },
      to: { path: "^src/", pathNot: `^src/(model|ledger)/|^src/storage/sqlite/(${LEDGER_STORES}|memo)\\.ts$` },
    },
    {
      name: "inner-without-io",
      severity: "error",
      from: { path: inner },
      to: { path: "^(node_modules/|fs|fs/promises|http|https|net|tls|child_process|dgram)" },
    },
    {
      name: "sql-in-storage-only",
      severity: "error",
      from: { pathNot: "^src/storage/" },
      to: { path: "node_modules/better-sqlite3" },
    },
    {
      name: "homeserver-calls-in-homeserver-only",
      severity: "error",
      from: { pathNot: "^src/(homeserver|cli)/" },
      to: { path: "node_modules/undici" },
    },
    { name: "no-orphans", severity: "error", from: { orphan: true, path: "^src/" }, to: {} },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { extensions: [".ts", ".js"], conditionNames: ["import", "types", "node", "default"] },
  },
};
