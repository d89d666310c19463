import type { PeekEndpoint } from "./peek.ts";
import { PEEK_ENDPOINTS } from "./routes.ts";

/** A path that a reverse proxy sends to the gateway, and its methods. */
export interface ProxiedRoute {
  /** Without OPTIONS, which the proxy must also send here: the homeserver may not know a preflight's path. */
  readonly methods: readonly string[];
  /** Follows each of `under`; parameters are written `:name`. */
  readonly path: string;
  readonly under: readonly string[];
  readonly note: string;
  /** Whether legacy peeking works without this route. */
  readonly isOptional: boolean;
}

/** Routes needed only for masking or MSC2753. */
const OPTIONAL =
  /\/(?:sync|unpeek|hierarchy|summary|publicRooms|changes|search|m\.ignored_user_list)$|^\/initialSync$|\/(?:peek|room_summary|summary)\//;

/** Returns the routes that a reverse proxy must send to the gateway, one for each path. Methods matter. */
export function proxiedRoutes(endpoints: readonly PeekEndpoint[] = PEEK_ENDPOINTS): readonly ProxiedRoute[] {
  const routes = new Map<string, ProxiedRoute>();
  for (const { method, path, under, note } of endpoints) {
    const key = `${under.join(" ")} ${path}`;
    const known = routes.get(key);
    const methods = [...new Set([...(known?.methods ?? []), method])];
    routes.set(key, { methods, path, under, note: known?.note ?? note, isOptional: OPTIONAL.test(path) });
  }
  return [...routes.values()];
}

/**
 * Returns a regular expression for the raw path, which is not decoded: a slash inside a room alias does not end it.
 * PCRE, RE2 and JavaScript read it alike. The last parameter may be empty, as the state key commonly is.
 */
export function pathPattern({ path, under }: Pick<ProxiedRoute, "path" | "under">): string {
  const segments = path
    .split("/")
    .map((segment, index, all) =>
      segment.startsWith(":") ? (index === all.length - 1 ? "[^/?]*" : "[^/?]+") : literal(segment),
    );
  return `${prefixPattern(under)}${segments.join("/")}`;
}

/** Merges prefixes that begin alike, for example `/_matrix/client/(v3|r0|api/v1)`. */
function prefixPattern(under: readonly string[]): string {
  const [first = [], ...others] = under.map((prefix) => prefix.split("/"));
  if (others.length === 0) return literal(first.join("/"));
  const differs = first.findIndex((segment, at) => others.some((other) => other[at] !== segment));
  const common = first.slice(0, differs).join("/");
  const parts = [first, ...others].map((prefix) => literal(prefix.slice(differs).join("/")));
  return common === "" ? `(${parts.map((part) => `/${part}`).join("|")})` : `${literal(common)}/(${parts.join("|")})`;
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
