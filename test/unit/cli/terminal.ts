import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Io } from "../../../src/cli/io.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { EmissaryError, type ErrorCode } from "../../../src/model/errors.ts";
import type { JsonValue } from "../../../src/model/json.ts";
import { matrixErrorBody } from "../../../src/http/matrix-errors.ts";
import { temporaryFolder } from "../config/folder.ts";

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What an operator at a terminal sees of `emissary ARGS`. `answers` are typed at its questions, one after the other. */
export async function emissary(
  args: readonly string[],
  { width = null, answers }: { width?: number | null; answers?: string[] } = {},
): Promise<Outcome> {
  const shown = { stdout: "", stderr: "" };
  let tokens = 0;
  const ask = async (question: string): Promise<string> => {
    shown.stderr += `${question}\n`;
    const answer = answers?.shift();
    if (answer === undefined) throw new Error(`no answer to: ${question}`);
    return answer;
  };
  const io: Io = {
    out: (text) => void (shown.stdout += `${text}\n`),
    err: (text) => void (shown.stderr += `${text}\n`),
    width,
    converse: answers === undefined ? null : (talk) => talk(ask),
    env: {},
    random: { fraction: () => 0.5, token: (bytes) => `fresh-token-number-${(tokens += 1)}-of-${bytes}-bytes` },
  };
  return { exitCode: await runProgram(args, io), ...shown };
}

export const ADMIN_TOKEN = "an-admin-token-of-a-test";

interface Ask {
  /** `GET /rooms/!a?limit=500`, decoded. */
  readonly line: string;
  readonly body: JsonValue;
}

export interface Daemon {
  /** Arguments that make a command ask this daemon. */
  readonly config: readonly string[];
  readonly asked: Ask[];
}

type Answer = JsonValue | ((ask: Ask) => JsonValue);

/**
 * A daemon's admin API on a port of its own. `answers` go by method and decoded path; what has none is answered as the
 * daemon answers what it does not know, and a wrong token as it answers that. `Refusal` makes an answer a refusal.
 */
export async function daemon(answers: Readonly<Record<string, Answer>>, token = ADMIN_TOKEN): Promise<Daemon> {
  const asked: Ask[] = [];
  const server = createServer((request, response) => void answer(request, response));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "", "http://daemon");
    const path = decodeURIComponent(url.pathname.replace("/_emissary/v1", ""));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const ask = {
      line: `${request.method ?? ""} ${path}${decodeURIComponent(url.search)}`,
      body: (text === "" ? null : JSON.parse(text)) as JsonValue,
    };
    asked.push(ask);
    const found =
      request.headers.authorization === `Bearer ${token}` ? answers[`${request.method ?? ""} ${path}`] : UNKNOWN_TOKEN;
    const body = typeof found === "function" ? found(ask) : (found ?? NOT_FOUND);
    const refused = typeof body === "object" && body !== null && "errcode" in body;
    response.writeHead(refused ? 400 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  const port = await listening(server);
  return { config: ["--config", configFor(port)], asked };
}

export const refusal = (code: ErrorCode, error: string): JsonValue =>
  matrixErrorBody(new EmissaryError(code, error), "operator");

const UNKNOWN_TOKEN = refusal("unknown-token", "The token is not known.");
const NOT_FOUND = refusal("not-found", "There is no such thing.");

/** The path of a configuration that names this port. */
export function configFor(port: number, token = ADMIN_TOKEN): string {
  const path = join(temporaryFolder(), "emissary.yaml");
  writeFileSync(path, `admin: { listen: "127.0.0.1:${port}", token: ${token} }\n`);
  return path;
}

/** Starts a server on any free port for the length of a test. */
export async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A port where nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
