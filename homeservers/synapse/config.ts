/** Writes what one Synapse needs before its first start: settings, log settings, signing key, and where they were prepared, tables. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

/** Lets whoever knows it create users (`Synapse.registerUser`). These servers listen on loopback and live for minutes. */
export const REGISTRATION_SECRET = "loopback-only";

export type ServerConfig = {
  readonly python: string;
  readonly dir: string;
  readonly clientPort: number;
  readonly federationPort: number;
  readonly serverName: string;
  /** Paths of application service registration files. */
  readonly registrations: readonly string[];
  readonly defaultRoomVersion?: string | undefined;
  /** Further settings of homeserver.yaml; they win over ours. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
};

export type ConfigPaths = {
  readonly config: string;
  readonly log: string;
  readonly database: string;
  readonly certificate: string;
  readonly key: string;
};

export async function writeConfig(server: ServerConfig): Promise<ConfigPaths> {
  const inside = (name: string) => path.join(server.dir, name);
  const paths = {
    config: inside("hs.yaml"),
    log: inside("hs.log"),
    database: inside("hs.db"),
    certificate: inside("tls.crt"),
    key: inside("tls.key"),
  };
  const signingKey = inside("signing.key");
  await mkdir(server.dir, { recursive: true });
  // A restarted server is the same server: others remember its key.
  if (!existsSync(signingKey)) await writeFile(signingKey, newSigningKey(), { mode: 0o600 });
  const prepared = preparedDatabase(server.python);
  if (existsSync(prepared) && !existsSync(paths.database)) await copyFile(prepared, paths.database);
  await writeFile(inside("log.yaml"), asYaml(logSettings(paths.log)));
  await writeFile(paths.config, asYaml({ ...settings(server, paths, signingKey), ...server.settings }));
  return paths;
}

/** Where the database lies that new servers of this Python begin with (prepared-database.ts). */
export function preparedDatabase(python: string): string {
  return path.join(path.dirname(python), "..", "prepared.db");
}

/** JSON is YAML. */
function asYaml(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Synapse's format: an Ed25519 seed with a name. Made here, since `--generate-keys` costs another start of Python. */
function newSigningKey(): string {
  const seed = randomBytes(32).toString("base64").replaceAll("=", "");
  return `ed25519 a_${randomBytes(2).toString("hex")} ${seed}\n`;
}

function settings(server: ServerConfig, paths: ConfigPaths, signingKey: string): Record<string, unknown> {
  const loopback = { bind_addresses: ["127.0.0.1"], type: "http" };
  return {
    server_name: server.serverName,
    public_baseurl: `http://127.0.0.1:${server.clientPort}/`,
    pid_file: path.join(server.dir, "hs.pid"),
    listeners: [
      { ...loopback, port: server.clientPort, resources: [{ names: ["client", "federation"] }] },
      { ...loopback, port: server.federationPort, tls: true, resources: [{ names: ["federation"] }] },
    ],
    tls_certificate_path: paths.certificate,
    tls_private_key_path: paths.key,
    signing_key_path: signingKey,
    database: { name: "sqlite3", args: { database: paths.database } },
    media_store_path: path.join(server.dir, "media"),
    log_config: path.join(server.dir, "log.yaml"),
    app_service_config_files: server.registrations,
    ...(server.defaultRoomVersion === undefined ? {} : { default_room_version: server.defaultRoomVersion }),

    registration_shared_secret: REGISTRATION_SECRET,
    macaroon_secret_key: "loopback-only",
    form_secret: "loopback-only",
    // The work of hashing is for passwords worth guessing.
    bcrypt_rounds: 4,
    report_stats: false,

    // Servers on loopback trust each other's self-signed certificates and ask no third server for keys.
    federation_verify_certificates: false,
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    ip_range_blacklist: [],
    federation_ip_range_blacklist: [],
    allow_public_rooms_over_federation: true,
    ...unlimited(),
  };
}

/** A test is faster than a person. Emissary's own requests are unlimited anyway, by its registration. */
function unlimited(): Record<string, unknown> {
  const fast = { per_second: 10_000, burst_count: 10_000 };
  return {
    rc_message: fast,
    rc_registration: fast,
    rc_login: { address: fast, account: fast, failed_attempts: fast },
    rc_joins: { local: fast, remote: fast },
    rc_joins_per_room: fast,
    rc_invites: { per_room: fast, per_user: fast, per_issuer: fast },
    rc_room_creation: fast,
    rc_profile: fast,
    rc_federation: { window_size: 1_000, sleep_limit: 10_000, sleep_delay: 0, reject_limit: 10_000, concurrent: 100 },
  };
}

function logSettings(file: string): Record<string, unknown> {
  return {
    version: 1,
    formatters: { line: { format: "%(asctime)s %(levelname)s %(name)s %(message)s" } },
    handlers: { file: { class: "logging.FileHandler", filename: file, formatter: "line", encoding: "utf-8" } },
    root: { level: "INFO", handlers: ["file"] },
    disable_existing_loggers: false,
  };
}
