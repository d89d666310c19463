import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { proxySnippets } from "../../scripts/proxy-snippets.ts";
import { pathPattern, proxiedRoutes } from "../../src/peek/proxied.ts";
import { PEEK_ENDPOINTS } from "../../src/peek/routes.ts";

const onDisk = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const files = proxySnippets();

test.each(Object.keys(files))("%s has the paths that the code has (npm run sample)", (path) => {
  expect(onDisk(path)).toBe(files[path]);
});

test.each(["packaging/proxy/nginx.conf", "packaging/proxy/Caddyfile"])(
  "%s has a line for every endpoint and method, and none besides",
  (path) => {
    const lines = [...(files[path] ?? "").matchAll(/^\s*"~(\S+ .*)" /gm)].map(([, line]) => new RegExp(line ?? ""));
    for (const { method, path: pattern, under } of PEEK_ENDPOINTS) {
      for (const prefix of under) {
        const request = `${method} ${prefix}${pattern.replace(/:\w+/g, "%23x%2Fy:z")}`;
        expect([request, lines.some((line) => line.test(request))]).toEqual([request, true]);
      }
    }
    expect(lines).toHaveLength(proxiedRoutes().length);
  },
);

test("traefik.yaml has them all, too", () => {
  const { http } = parse(files["packaging/proxy/traefik.yaml"] ?? "") as {
    http: { routers: Record<string, { rule: string }> };
  };
  const rules = `${http.routers["emissary"]?.rule ?? ""} ${http.routers["emissary-optional"]?.rule ?? ""}`;
  for (const route of proxiedRoutes()) expect(rules).toContain(`PathRegexp(\`^${pathPattern(route)}$\`)`);
});

describe("a route's pattern", () => {
  test.each([
    ["two versions of one path", ["/_matrix/client/v3", "/_matrix/client/r0"], "/sync", "/_matrix/client/(v3|r0)/sync"],
    ["a name with dots", ["/_matrix/client/unstable/a.b"], "/x/:id", "/_matrix/client/unstable/a\\.b/x/[^/?]*"],
    ["a parameter in the middle", ["/c/v1"], "/rooms/:roomId/threads", "/c/v1/rooms/[^/?]+/threads"],
    ["prefixes that have nothing in common", ["/a/b", "/c/d"], "/x", "(/a/b|/c/d)/x"],
  ])("%s", (_what, under, path, expected) => expect(pathPattern({ path, under })).toBe(expected));
});

describe("what may be left with the homeserver", () => {
  test("is never what legacy peeking needs", () => {
    const optional = proxiedRoutes().filter(({ isOptional }) => isOptional);
    const legacy =
      /^\/(?:rooms\/:roomId\/(?:initialSync|messages|state|members|joined_members|context|event|aliases|relations|threads|timestamp_to_event|join)|events|directory|join|versions)/;
    expect(optional.filter(({ path }) => legacy.test(path))).toEqual([]);
    expect(optional.map(({ path }) => path)).toContain("/sync");
  });
});
