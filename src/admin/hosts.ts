import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";

/** Names below these are nobody's in the public DNS (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`), so no web page has one. */
const PRIVATE = /(?:^|\.)(?:localhost|local|internal|home\.arpa|test)$/;

/**
 * Refuses requests that name us by somebody else's name. A web page of the operator's browser may have its own name lead here (DNS
 * rebinding), and would then read what is answered; the name in `Host` is still the page's. An address, or a name without a dot such as a
 * container's, is no such name.
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

/** Without the port, brackets and a last dot. */
function nameIn(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d*$/, "")).toLowerCase().replace(/\.$/, "");
}
