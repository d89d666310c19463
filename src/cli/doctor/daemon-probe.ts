import type { z } from "zod";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import { parsedObject } from "../../model/json.ts";
import type { Config } from "../../platform/config/config.ts";
import { formatListen, type ListenAddress } from "../../platform/config/values.ts";
import { AdminClient } from "../admin-client.ts";
import { statusAnswer } from "../answers.ts";
import { CommandFailed, EXIT, isForeseen } from "../exit.ts";

const TIMEOUT_MS = 10_000;

/** What stands behind admin.listen. */
export type DaemonState =
  | { readonly kind: "running"; readonly status: z.output<typeof statusAnswer>; readonly client: AdminClient }
  | { readonly kind: "down" | "other-token" | "foreign" | "untold"; readonly why: string };

export async function probeDaemon(config: Config): Promise<DaemonState> {
  let client: AdminClient;
  try {
    client = new AdminClient(config.admin);
  } catch (error) {
    // Port 0: only the daemon's log knows where it listens.
    return { kind: "untold", why: sentenceOf(error) };
  }
  try {
    const status = await client.call({ path: ["status"], answer: statusAnswer, timeout: TIMEOUT_MS });
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
 * What stands behind appservice.listen when it is shown our hs_token, as the homeserver would: ourselves, an Emissary with
 * another token, some other program, or nothing. Tells a wrong address from a wrong token.
 */
export type ListenerState = "ours" | "other-token" | "foreign" | "silent" | "untold";

export async function probeListener(config: Config): Promise<ListenerState> {
  const address = localAddress(config.appservice.listen);
  if (address === null) return "untold";
  const { request } = await import("undici");
  try {
    const { statusCode, body } = await request(`${address}/_matrix/app/v1/ping`, {
      method: "POST",
      headers: { authorization: `Bearer ${config.registration.hsToken}`, "content-type": "application/json" },
      body: "{}",
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const answer = parsedObject(await body.bytes());
    if (statusCode === 200) return "ours";
    return answer["org.matrix.msc1777.code"] === "forbidden" ? "other-token" : "foreign";
  } catch {
    return "silent";
  }
}

/** Where a listener of this machine is asked; null where any port may be its. */
function localAddress({ host, port }: ListenAddress): string | null {
  if (port === 0) return null;
  const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${formatListen({ host: local, port })}`;
}
