// Who may import whom (docs/architecture.md, "Layout"). A folder that is not listed here may import src/model only.
const foundation = ["concurrency", "storage", "homeserver", "http", "platform"];
const may = {
  concurrency: [],
  platform: ["concurrency"],
  storage: [],
  http: ["concurrency", "platform"],
  homeserver: ["concurrency", "http", "platform"],
  ledger: [...foundation],
  policy: ["ledger", "auth", ...foundation],
  attendance: ["ledger", "policy", ...foundation],
  tenants: ["ledger", "policy", "attendance", ...foundation],
  peek: ["ledger", "policy", "attendance", "masking", ...foundation],
  aliases: ["ledger", "policy", "attendance", ...foundation],
  invites: ["ledger", "policy", "attendance", "auth", ...foundation],
  lists: ["ledger", "policy", "attendance", ...foundation],
  admin: ["ledger", "policy", "attendance", "tenants", "peek", "aliases", "invites", "lists", "masking", ...foundation],
};

/** What others' programs import, each on its own: no folder of ours, no package, nothing of Node. */
const alone = ["bridge", "masking", "auth"];

const folders = Object.entries(may).map(([folder, others]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import src/model${others.map((o) => `, src/${o}`).join("")} and nothing else of ours`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: { path: "^src/", pathNot: `^src/(${["model", folder, ...others].join("|")})/` },
}));

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
    ...alone.map((folder) => ({
      name: `${folder}-alone`,
      comment: `other programs import src/${folder}, in browsers too`,
      severity: "error",
      from: { path: `^src/${folder}/` },
      to: { pathNot: `^src/${folder}/` },
    })),
    {
      name: "sql-in-stores-only",
      comment: "SQL stands in a capability's store.ts or store/ and in src/storage",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/([^/]+/store(\\.ts|/)|storage/|app/stores\\.ts)" },
      to: { path: "node_modules/better-sqlite3" },
    },
    {
      name: "admin-api-is-data",
      comment:
        "the CLI and scripts read the description of the admin API, too: no server, no storage, no part of the daemon",
      severity: "error",
      from: { path: "^src/admin/api/" },
      to: {
        pathNot:
          "^(src/(admin/api|model|policy|aliases/alias\\.ts|platform/(expressions|registration))|node_modules/zod|path|crypto)",
      },
    },
    {
      name: "homeserver-pools-in-homeserver-only",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(homeserver|cli)/" },
      to: { path: "node_modules/undici", dependencyTypesNot: ["type-only"] },
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
