import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

const BEARER = /^Bearer +(\S+) *$/i;

/** Whether a query may contain the parameter, by its name or percent-encoded. Other queries need no parsing. */
const MAY_NAME = /[?&](?:access_token|[^=&]*%)/;

type TokenBearer = Pick<IncomingMessage, "headers" | "url">;

/** Returns a request's tokens, from the header and from the query parameter that older callers use. */
export function tokensOf(request: TokenBearer): Readonly<Record<"header" | "query", string | null>> {
  const header = BEARER.exec(request.headers.authorization ?? "")?.[1] ?? null;
  const url = request.url ?? "";
  const at = url.indexOf("?");
  const query = at === -1 || !MAY_NAME.test(url) ? null : new URLSearchParams(url.slice(at + 1)).get("access_token");
  return { header, query: query === "" ? null : query };
}

/** Returns the effective token: the header's before the query's; null if there is none. */
export function tokenOf({ raw }: { readonly raw: TokenBearer }): string | null {
  const { header, query } = tokensOf(raw);
  return header ?? query;
}

/** Compares secrets in constant time, which does not even reveal the length. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => hash("sha256", text, "buffer");
  return timingSafeEqual(digest(given), digest(expected));
}

/** Returns a request's path for logs, without the query, which may contain a token. */
export function pathForLog(url: string): string {
  const [path = ""] = url.split("?", 1);
  return path;
}
