import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";

/** Nobody owns these in the public DNS (RFC 6761, 6762, 8375, ICANN's `internal`): no web page has such a name. */
const PRIVATE = /(?:^|\.)(?:localhost|local|internal|home\.arpa|test)$/;

/**
 * Refuses requests with another owner's name in `Host`. A web page in the operator's browser may point its own name
 * here (DNS rebinding) to read the answers. Addresses, and names without a dot such as a container's, pass.
 * @param own names of this machine and of the listener
 * @throws EmissaryError `forbidden`
 */
export function requireOwnHost({ headers }: Pick<FastifyRequest, "headers">, own: readonly string[]): void {
  const name = nameIn(headers.host ?? "");
  if (!name.includes(".") || isIP(name) !== 0 || PRIVATE.test(name)) return;
  if (own.some((other) => other.toLowerCase() === name)) return;
  throw new EmissaryError(
    "forbidden",
    `${JSON.stringify(name)} is not a name of this listener: ask it by its address, or send admin.token, with which every name is good.`,
  );
}

/** Removes the port, brackets and a final dot. */
function nameIn(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d*$/, "")).toLowerCase().replace(/\.$/, "");
}
