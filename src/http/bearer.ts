import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The tokens of a request: the header's, and the query parameter's that older callers use. */
export interface RequestTokens {
  readonly header: string | null;
  readonly query: string | null;
}

const BEARER = /^Bearer +(\S+) *$/i;

/** Whether a query can have the parameter: by its name, or by one that is percent-encoded. All others need not be read. */
const MAY_NAME = /[?&](?:access_token|[^=&]*%)/;

/** What of a request may bear a token. */
type TokenBearer = Pick<IncomingMessage, "headers" | "url">;

export function tokensOf(request: TokenBearer): RequestTokens {
  const header = BEARER.exec(request.headers.authorization ?? "")?.[1] ?? null;
  const url = request.url ?? "";
  const at = url.indexOf("?");
  const query = at === -1 || !MAY_NAME.test(url) ? null : new URLSearchParams(url.slice(at + 1)).get("access_token");
  return { header, query: query === "" ? null : query };
}

/** The token that counts: the header's before the query's; null where there is none. */
export function tokenOf({ raw }: { readonly raw: TokenBearer }): string | null {
  const { header, query } = tokensOf(raw);
  return header ?? query;
}

/** Compares secrets in a time that tells nothing of either, not even the length. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => hash("sha256", text, "buffer");
  return timingSafeEqual(digest(given), digest(expected));
}

/** A request's path without its query, for logs: the query may hold a token. */
export function pathForLog(url: string): string {
  const at = url.indexOf("?");
  return at === -1 ? url : url.slice(0, at);
}
