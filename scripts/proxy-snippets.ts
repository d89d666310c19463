/** The files of packaging/proxy. With them a reverse proxy sends the gateway's paths there, all others to the homeserver. */
import { pathPattern, proxiedRoutes, type ProxiedRoute } from "../src/peek/proxied.ts";

/** Default addresses: gateway.listen, and the homeserver's usual port. */
const GATEWAY = "127.0.0.1:9010";
const HOMESERVER = "127.0.0.1:8008";

const GENERATED = "Generated from the code by `npm run sample`. See docs/set-up/reverse-proxy.md";
const OPTIONAL = "Optional. The homeserver answers what you remove: without masking, and /sync without peeked rooms.";

/** Returns every file by its path. */
export function proxySnippets(routes = proxiedRoutes()): Readonly<Record<string, string>> {
  const needed = routes.filter(({ isOptional }) => !isOptional);
  const optional = routes.filter(({ isOptional }) => isOptional);
  return {
    "packaging/proxy/nginx.conf": nginx(needed, optional),
    "packaging/proxy/Caddyfile": caddy(needed, optional),
    "packaging/proxy/traefik.yaml": traefik(needed, optional),
  };
}

/** Matches `METHOD PATH?QUERY` as in the request line: nginx and Caddy decode other forms. */
function linePattern(route: ProxiedRoute): string {
  return `^(${[...route.methods, "OPTIONS"].join("|")}) ${pathPattern(route)}(\\?|$)`;
}

function nginx(needed: readonly ProxiedRoute[], optional: readonly ProxiedRoute[]): string {
  const lines = (routes: readonly ProxiedRoute[]): string =>
    routes.map((route) => `    "~${linePattern(route)}" emissary_gateway;`).join("\n");
  return `# ${GENERATED}
#
# Install as /etc/nginx/conf.d/emissary.conf (http level). In the server block, the homeserver's location then needs
#     proxy_pass http://$matrix_backend;
# with nothing after the name, as in nginx-location.conf.

upstream emissary_gateway {
    server ${GATEWAY};
    keepalive 32;
}

upstream matrix_homeserver {
    server ${HOMESERVER};
    keepalive 32;
}

map "$request_method $request_uri" $matrix_backend {
    default matrix_homeserver;

${lines(needed)}

    # ${OPTIONAL}
${lines(optional)}
}
`;
}

function caddy(needed: readonly ProxiedRoute[], optional: readonly ProxiedRoute[]): string {
  const lines = (routes: readonly ProxiedRoute[]): string =>
    routes.map((route) => `\t\t"~${linePattern(route)}" ${GATEWAY}`).join("\n");
  return `# ${GENERATED}
#
# Install as /etc/caddy/emissary.caddy. In the Caddyfile, put \`import emissary.caddy\` at the top, and \`import emissary\` into
# the site instead of its reverse_proxy for /_matrix.

(emissary) {
	map "{http.request.method} {http.request.orig_uri}" {matrix_backend} {
${lines(needed)}

		# ${OPTIONAL}
${lines(optional)}

		default ${HOMESERVER}
	}
	reverse_proxy /_matrix/* {matrix_backend}
	reverse_proxy /_synapse/client/* ${HOMESERVER}
}
`;
}

function traefik(needed: readonly ProxiedRoute[], optional: readonly ProxiedRoute[]): string {
  const rule = (routes: readonly ProxiedRoute[]): string =>
    routes
      .map((route) => {
        const methods = [...route.methods, "OPTIONS"].map((method) => `Method(\`${method}\`)`).join(" || ");
        return `        (${methods}) && PathRegexp(\`^${pathPattern(route)}$\`)`;
      })
      .join(" ||\n");
  const router = (name: string, routes: readonly ProxiedRoute[]): string => `    ${name}:
      entryPoints: [websecure]
      priority: 1000000
      service: emissary-gateway
      tls: {}
      rule: >-
        Host(\`matrix.example.org\`) && (
${rule(routes)}
        )`;
  return `# ${GENERATED}
#
# NOT TESTED with Traefik yet. For version 3.4 or newer, with the file provider. Replace matrix.example.org with your host.
# Room names contain encoded characters. If Traefik answers 400 to them, set allowEncodedSlash, allowEncodedHash,
# allowEncodedPercent, allowEncodedQuestionMark and allowEncodedSemicolon to true in its static configuration, under
# entryPoints.websecure.http.encodedCharacters.

http:
  routers:
${router("emissary", needed)}
    # ${OPTIONAL}
${router("emissary-optional", optional)}
    matrix-homeserver:
      entryPoints: [websecure]
      service: matrix-homeserver
      tls: {}
      rule: Host(\`matrix.example.org\`) && (PathPrefix(\`/_matrix/\`) || PathPrefix(\`/_synapse/client/\`))
  services:
    emissary-gateway:
      loadBalancer:
        servers:
          - url: http://${GATEWAY}
    matrix-homeserver:
      loadBalancer:
        servers:
          - url: http://${HOMESERVER}
`;
}
