import type { Command } from "commander";
import { ADMIN_BASE, ADMIN_ENDPOINTS, type AdminAnswer, type AdminEndpoints } from "../admin/api/endpoints.ts";
import type { Endpoint, ParamsOf } from "../admin/api/endpoint.ts";
import { EmissaryError, ERROR_CODES, sentenceOf, type ErrorCode } from "../model/errors.ts";
import { isJsonObject } from "../model/json.ts";
import type { AdminAccess } from "../platform/config/config.ts";
import { loadAdminAccess } from "../platform/config/load.ts";
import { localUrl } from "../platform/config/values.ts";
import { CommandFailed, EXIT, jsonText, type Io } from "./io.ts";
import { neutral } from "./text.ts";

/**
 * Longest wait for the daemon's answer, in milliseconds. It answers from its database, so if this passes, it hangs.
 */
const TIMEOUT = 30_000;

type Name = keyof AdminEndpoints;

export interface Call<One extends Name> {
  readonly params?: Readonly<Record<ParamsOf<AdminEndpoints[One]["path"]>, string>>;
  readonly query?: Readonly<Record<string, string | number | readonly string[] | null>>;
  readonly body?: unknown;
  /** In milliseconds, instead of the endpoint's own patience. */
  readonly timeout?: number;
}

/**
 * Calls the running daemon. Throws its refusals as EmissaryErrors, and CommandFailed with exit code 4 if nobody
 * answers or 1 if the answer is not Emissary's.
 */
export class AdminClient {
  readonly #access: AdminAccess;
  readonly address: string;

  constructor(access: AdminAccess) {
    this.#access = access;
    this.address = addressOf(access);
  }

  /** Returns the answer as it came, including keys of a newer daemon, which --json shows. */
  async call<One extends Name>(name: One, call: Call<One> = {}): Promise<AdminAnswer<One>> {
    const { method, path, answer, patience = TIMEOUT }: Endpoint = ADMIN_ENDPOINTS[name];
    const { query = {}, body, timeout = patience } = call;
    const params: Readonly<Record<string, string>> = call.params ?? {};
    const filled = path.replace(/:(\w+)/g, (_, param: string) => encodeURIComponent(params[param] ?? ""));
    const url = new URL(`${this.address}${ADMIN_BASE}${filled}`);
    for (const [key, value] of Object.entries(query)) {
      for (const one of value === null ? [] : [value].flat()) url.searchParams.append(key, String(one));
    }
    const { status, text } = await this.#send(method, url, body, timeout);
    const json = parse(text);
    if (status >= 400) throw this.#refusal(status, json);
    const parsed = answer.safeParse(json);
    if (parsed.success) return json as AdminAnswer<One>;
    const where = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
    throw this.#foreign(where === "" ? "its answer has another form" : `its answer has another form at ${where}`);
  }

  async #send(method: string, url: URL, body: unknown, timeout: number): Promise<{ status: number; text: string }> {
    // Imported here, so that commands without a call need not wait for it.
    const { request } = await import("undici");
    const headers = { authorization: `Bearer ${this.#access.token}`, accept: "application/json" };
    try {
      const answer = await request(url, {
        method,
        headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeout,
        bodyTimeout: timeout,
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      throw this.#unreachable(error, timeout);
    }
  }

  #unreachable(error: unknown, timeout: number): CommandFailed {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const why =
      code === "ECONNREFUSED"
        ? "nothing listens there"
        : code === "UND_ERR_HEADERS_TIMEOUT"
          ? `no answer within ${timeout / 1000} s`
          : sentenceOf(error);
    const repair = "Start it with `emissary run`, or look at admin.listen in the configuration.";
    return new CommandFailed(EXIT.unreachable, `The daemon is not reachable at ${this.address}: ${why}. ${repair}`);
  }

  #refusal(status: number, json: unknown): Error {
    if (!isJsonObject(json) || typeof json["error"] !== "string") return this.#foreign(`it answers ${status}`);
    const code =
      ERROR_CODES.find((known): known is ErrorCode => known === json["org.matrix.msc1777.code"]) ?? "internal";
    if (code === "unknown-token" || code === "missing-token") {
      const sentence = `The daemon at ${this.address} does not accept the admin token. Restart it if the token was changed.`;
      return new EmissaryError(code, sentence);
    }
    // The sentence may quote another server.
    return new EmissaryError(code, neutral(json["error"]));
  }

  #foreign(what: string): CommandFailed {
    return new CommandFailed(
      EXIT.failed,
      `What answers at ${this.address} is not this version of Emissary's admin API: ${what}.`,
    );
  }
}

/** Returns the client for the daemon of the command's --config. */
export function adminClient(command: Command, io: Io): AdminClient {
  return new AdminClient(loadAdminAccess({ path: configPath(command), env: io.env }));
}

/** Asks the daemon for a command, with the command's options and arguments. */
type Asking<Answer, Options> = (daemon: () => AdminClient, options: Options, ...args: string[]) => Promise<Answer>;

/** Makes a command print the text that `ask` returns. */
export function says<Options extends object>(command: Command, io: Io, ask: Asking<string | null, Options>): void {
  command.action(async (...given: [...string[], Options, Command]) => {
    const [options, self] = given.slice(-2) as [Options, Command];
    const text = await ask(() => adminClient(self, io), options, ...(given.slice(0, -2) as string[]));
    if (text !== null) io.out(text);
  });
}

/**
 * Makes a command print what `ask` returns, as `show` says it or, with --json, as JSON.
 * @param none what standard error gets in place of an empty list
 */
export function shows<Answer, Options extends object>(
  command: Command,
  io: Io,
  ask: Asking<Answer, Options>,
  show: (answer: Answer) => string,
  none = "",
): void {
  says<Options & { json?: true }>(command.option("--json", "print JSON"), io, async (daemon, options, ...args) => {
    const answer = await ask(daemon, options, ...args);
    if (options.json) return jsonText(answer);
    if (!Array.isArray(answer) || answer.length > 0) return show(answer);
    io.err(none);
    return null;
  });
}

export function configPath(command: Command): string {
  return command.optsWithGlobals<{ config: string }>().config;
}

export async function allPages<Item, Next extends string | number>(
  page: (next: Next | null) => Promise<{ items: readonly Item[]; next: Next | null }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let next: Next | null = null;
  do {
    const answer: { items: readonly Item[]; next: Next | null } = await page(next);
    for (const item of answer.items) all.push(item);
    // A page that names itself as the next would repeat for ever.
    next = answer.items.length === 0 || answer.next === next ? null : answer.next;
  } while (next !== null);
  return all;
}

/** A daemon that listens on every address is called on this machine's own. */
function addressOf({ listen }: AdminAccess): string {
  const url = localUrl(listen);
  if (url !== null) return url;
  const sentence = "admin.listen has port 0, any free one: the daemon's log names the port, the configuration cannot.";
  throw new CommandFailed(EXIT.failed, sentence);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
