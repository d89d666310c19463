import type { PeekEndpoint } from "./peek.ts";
import { PEEK_ENDPOINTS } from "./routes.ts";

/** A path that a reverse proxy sends to the gateway, with the methods that it does so for. */
export interface ProxiedRoute {
  /** Without OPTIONS, which goes along with them: a browser asks for leave first, at a path that the homeserver may not have. */
  readonly methods: readonly string[];
  /** The path below each of `under`, with parameters as `:name`. */
  readonly path: string;
  readonly under: readonly string[];
  readonly note: string;
  /** The operator may leave it to the homeserver, and legacy peeking works all the same. */
  readonly isOptional: boolean;
}

/** Of these, what comes with masking or with MSC2753 alone. */
const OPTIONAL =
  /\/(?:sync|unpeek|hierarchy|summary|publicRooms|changes|search|m\.ignored_user_list)$|^\/initialSync$|\/(?:peek|room_summary|summary)\//;

/**
 * What a reverse proxy is to send to the gateway, one entry a path. Methods matter: `GET …/state/…` is ours, and `PUT` of the same path
 * is the homeserver's.
 */
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
 * The regular expression of a route's raw path, undecoded, so that a slash inside a room alias does not end it. Understood alike by
 * PCRE, RE2 and JavaScript. The last parameter may be empty, as the state key commonly is.
 */
export function pathPattern({ path, under }: Pick<ProxiedRoute, "path" | "under">): string {
  const segments = path
    .split("/")
    .map((segment, index, all) =>
      segment.startsWith(":") ? (index === all.length - 1 ? "[^/?]*" : "[^/?]+") : literal(segment),
    );
  return `${prefixPattern(under)}${segments.join("/")}`;
}

/** `/_matrix/client/(v3|r0|api/v1)` for those that begin alike. */
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
