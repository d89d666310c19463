import { existsSync, realpathSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Clock, Random } from "../../model/clock.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { systemClock, systemRandom } from "../../platform/clock.ts";
import type { StatusAnswer } from "../../admin/api/daemon.ts";
import type { Config } from "../../platform/config/config.ts";
import { localUrl } from "../../platform/config/values.ts";
import { AdminClient } from "../admin-client.ts";
import { Asker, type Question, type Reply } from "./asker.ts";
import { CommandFailed, EXIT, isForeseen } from "../io.ts";
import type { UserId } from "../../model/ids.ts";
import { REGISTER, registrationOf } from "../../homeserver/registering.ts";
import { isJsonObject, type JsonObject } from "../../model/json.ts";
import { pseudouserOf } from "../../model/pseudouser.ts";
import { load, type Source } from "../../platform/config/load.ts";
import { readYaml } from "../../platform/config/files.ts";

/** In order of gravity, except `skipped`, which says nothing either way. */
export type Level = "ok" | "warning" | "failure" | "skipped";

/** The result of one check. The keys are those of `--json`, and so part of the manual. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What is wrong; for `ok`, what was seen. */
  readonly what: string;
  /** The probable cause; for `skipped`, what the check lacked. Null for `ok`. */
  readonly why: string | null;
  readonly do: string | null;
  /** The place in the manual. */
  readonly read: string;
}

interface Problem {
  readonly what: string;
  readonly why: string;
  readonly do: string;
}

export function findingsOf(check: string) {
  const read = `docs/reference/doctor.md#${check}`;
  return {
    ok: (what: string): Finding => ({ check, level: "ok", what, why: null, do: null, read }),
    warning: (problem: Problem): Finding => ({ check, level: "warning", read, ...problem }),
    failure: (problem: Problem): Finding => ({ check, level: "failure", read, ...problem }),
    /** @param why a clause that begins small and ends without a full stop */
    skipped: (why: string): Finding => ({ check, level: "skipped", what: "not looked at", why, do: null, read }),
  };
}

export type Found = ReturnType<typeof findingsOf>;

/** Shortens another program's words inside our sentence: a proxy's HTML page would bury what matters. */
export function quoted(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return `“${line.length > 200 ? `${line.slice(0, 200)}…` : line}”`;
}

/** This machine. Passed in, so that a test can have a full disk or a wrong clock. */
export interface Machine {
  readonly clock: Clock;
  readonly random: Random;
  /** The user who runs the command; null on systems without user IDs. */
  readonly uid: number | null;
  /** Bytes on a folder's disk; `free` is what an ordinary user may still fill. */
  space(folder: string): Promise<{ readonly free: number; readonly total: number }>;
  /** Names the process that holds the database, in a sentence; null if there is none or it is unknown. */
  holderOf(database: string): Promise<string | null>;
  /** Longest wait for a homeserver to find that it does not reach us, in ms. Synapse gives up after a minute. */
  readonly pingTimeout: number;
}

export const thisMachine: Machine = {
  clock: systemClock,
  random: systemRandom,
  uid: process.getuid?.() ?? null,
  async space(folder) {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  },
  holderOf,
  pingTimeout: 65_000,
};

/** Takes the lock for a moment. A daemon that starts just then waits longer than that. */
async function holderOf(database: string): Promise<string | null> {
  // A lock file that root, for example, creates would keep Emissary's user from ever taking the lock.
  const file = existsSync(database) ? realpathSync(database) : database;
  if (!existsSync(`${file}.lock`)) return null;
  const { takeInstanceLock } = await import("../../storage/instance-lock.ts");
  try {
    takeInstanceLock(database, { command: "emissary doctor", since: systemClock.now() }).release();
    return null;
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
    return error.code === "in-use" ? error.message : null;
  }
}

const TIMEOUT_MS = 10_000;

/** The program behind admin.listen. */
type DaemonState =
  | { readonly kind: "running"; readonly status: StatusAnswer; readonly client: AdminClient }
  | { readonly kind: "down" | "other-token" | "foreign" | "unknown"; readonly why: string };

async function probeDaemon(config: Config): Promise<DaemonState> {
  let client: AdminClient;
  try {
    client = new AdminClient(config.admin);
  } catch (error) {
    // Port 0: only the daemon's log has its port.
    return { kind: "unknown", why: sentenceOf(error) };
  }
  try {
    const status = await client.call("status", { timeout: TIMEOUT_MS });
    return { kind: "running", status, client };
  } catch (error) {
    if (!isForeseen(error)) throw error;
    if (error instanceof CommandFailed && error.exitCode === EXIT.unreachable) {
      return { kind: "down", why: error.message };
    }
    const isToken = error instanceof EmissaryError && error.code === "unknown-token";
    return { kind: isToken ? "other-token" : "foreign", why: error.message };
  }
}

/**
 * What receives our hs_token at appservice.listen: we, an Emissary with another token, another program, or nobody.
 * Tells a wrong address from a wrong token.
 */
type ListenerState = "ours" | "other-token" | "foreign" | "silent" | "unknown";

async function probeListener({ appservice, registration }: Config, asker: Asker): Promise<ListenerState> {
  const address = localUrl(appservice.listen);
  if (address === null) return "unknown";
  const reply = await asker.ask("POST", `${address}/_matrix/app/v1/ping`, {
    token: registration.hsToken,
    body: {},
    timeout: TIMEOUT_MS,
  });
  if (!reply.heard) return "silent";
  if (reply.status === 200) return "ours";
  return reply.body["org.matrix.msc1777.code"] === "forbidden" ? "other-token" : "foreign";
}

/** Who receives the homeserver's events: the daemon at admin.listen, or another program in its place. */
type Receiver = "daemon" | "somebody-else" | "unknown";

/**
 * Makes the homeserver ping us with a secret ID, and asks the daemon whether it came. If it was answered but did not
 * come, a second Emissary with another database got it; nothing else shows that. If it came, all is well, even if
 * Synapse reports a failure: it does so while it is about to retry an appservice.
 */
async function receiverOf(
  config: Config,
  homeserver: HomeserverProbe,
  daemon: () => Promise<DaemonState>,
): Promise<Receiver> {
  const before = await daemon();
  if (before.kind !== "running") return "unknown";
  const ping = await homeserver.ping();
  if (!ping.heard) return "unknown";
  const after = await probeDaemon(config);
  if (after.kind !== "running") return "unknown";
  const seen = after.status.last_ping?.transaction_id;
  // A ping of another doctor in between came the same way.
  const isFresh = seen !== undefined && seen !== before.status.last_ping?.transaction_id;
  if (isFresh) return "daemon";
  return ping.status === 200 ? "somebody-else" : "unknown";
}

const WHOAMI = "/_matrix/client/v3/account/whoami";

/** The homeserver as the checks see it. Each request is made once, however many checks need it. */
class HomeserverProbe {
  /** Without our token: Synapse refuses this to unknown tokens. */
  readonly versions = once(() => this.#asker.ask("GET", `${this.#base}/_matrix/client/versions`));
  /** The user that the homeserver takes the holder of our as_token for. */
  readonly whoami = once(() => this.call("GET", WHOAMI));
  /** The same, when we act as the pseudouser. */
  readonly whoamiAsPseudouser = once(() => this.whoamiAs(this.#own));
  /** Registers the pseudouser, as the daemon does at its start. Changes nothing if it exists. */
  readonly register = once(() => this.call("POST", REGISTER, { body: registrationOf(this.#own).body }));
  /** Makes the homeserver call us (spec v1.7, "Pinging"), with an ID by which the daemon recognises this call. */
  readonly ping = once(() =>
    this.call("POST", `/_matrix/client/v1/appservice/${encodeURIComponent(this.#registration.id)}/ping`, {
      body: { transaction_id: this.#machine.random.token(16) },
      timeout: this.#machine.pingTimeout,
    }),
  );
  readonly #asker: Asker;
  readonly #base: string;
  readonly #own: UserId;
  readonly #registration: Config["registration"];
  readonly #machine: Machine;

  constructor(config: Config, own: UserId, machine: Machine, asker: Asker) {
    this.#asker = asker;
    this.#base = config.homeserver.url.replace(/\/$/, "");
    this.#own = own;
    this.#registration = config.registration;
    this.#machine = machine;
  }

  /** Makes a request as our registration's sender. */
  call(method: "GET" | "POST", path: string, question: Omit<Question, "token"> = {}): Promise<Reply> {
    return this.#asker.ask(method, `${this.#base}${path}`, { ...question, token: this.#registration.asToken });
  }

  whoamiAs(userId: UserId): Promise<Reply> {
    return this.callAs(userId, "GET", WHOAMI);
  }

  callAs(userId: UserId, method: "GET" | "POST", path: string): Promise<Reply> {
    return this.call(method, `${path}?user_id=${encodeURIComponent(userId)}`);
  }
}

/** Returns a function that asks once and gives every caller that answer. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}

/** What a check may use. None of it needs the daemon; a check that does must say so. */
export interface Context {
  readonly source: Source;
  readonly config: Config;
  /** emissary.yaml and registration.yaml as written. */
  readonly configFile: JsonObject;
  readonly registrationFile: JsonObject;
  readonly own: UserId;
  readonly machine: Machine;
  readonly asker: Asker;
  readonly homeserver: HomeserverProbe;
  readonly daemon: () => Promise<DaemonState>;
  readonly listener: () => Promise<ListenerState>;
  /** Pings, and so is slow if the homeserver does not get through. */
  readonly receiver: () => Promise<Receiver>;
}

/** @param found makes the finding, with the name of the check */
export type Check = (context: Context, found: Found) => Finding | Promise<Finding>;

/** @throws EmissaryError `bad-config` if the files cannot be used */
export function openContext(source: Source, machine: Machine): Context {
  const { config } = load(source);
  const own = pseudouserOf(config.homeserver.serverName, config.pseudouser.localpart);
  const asker = new Asker(machine.clock);
  const homeserver = new HomeserverProbe(config, own, machine, asker);
  const daemon = once(() => probeDaemon(config));
  return {
    source,
    config,
    configFile: objectIn(source.path),
    registrationFile: objectIn(config.appservice.registration),
    own,
    machine,
    asker,
    homeserver,
    daemon,
    listener: once(() => probeListener(config, asker)),
    receiver: once(async () =>
      (await whyNotAsked({ homeserver })) === null ? receiverOf(config, homeserver, daemon) : "unknown",
    ),
  };
}

/** Returns why our token gets no answers, as a clause; null if it does. For checks after those of the token. */
export async function whyNotAsked({ homeserver }: Pick<Context, "homeserver">): Promise<string | null> {
  const versions = await homeserver.versions();
  if (!versions.heard) return "the homeserver gives no answer";
  const whoami = await homeserver.whoami();
  if (!whoami.heard || whoami.status === 401) return "the homeserver does not know our token";
  return null;
}

function objectIn(path: string): JsonObject {
  const file = readYaml(path);
  return isJsonObject(file) ? file : {};
}
