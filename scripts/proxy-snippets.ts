/** The files of packaging/proxy: what each reverse proxy needs to send the gateway's paths to the gateway and all others to the homeserver. */
import { pathPattern, proxiedRoutes, type ProxiedRoute } from "../src/peek/proxied.ts";

/** Where the listeners are by default: gateway.listen, and the homeserver's usual port. */
const GATEWAY = "127.0.0.1:9010";
const HOMESERVER = "127.0.0.1:8008";

const GENERATED = "Generated from the code by `npm run sample`. What it is for: docs/set-up/reverse-proxy.md";
const OPTIONAL =
  "Leave out what of this the homeserver shall answer as it is: then without masking, and /sync without peeked rooms.";

/** Every file by its path. */
export function proxySnippets(routes = proxiedRoutes()): Readonly<Record<string, string>> {
  const needed = routes.filter(({ isOptional }) => !isOptional);
  const optional = routes.filter(({ isOptional }) => isOptional);
  return {
    "packaging/proxy/nginx.conf": nginx(needed, optional),
    "packaging/proxy/Caddyfile": caddy(needed, optional),
    "packaging/proxy/traefik.yaml": traefik(needed, optional),
  };
}

/** `METHOD PATH?QUERY`, as the request line has them: nginx and Caddy decode what they otherwise compare. */
function linePattern(route: ProxiedRoute): string {
  return `^(${[...route.methods, "OPTIONS"].join("|")}) ${pathPattern(route)}(\\?|$)`;
}

function nginx(needed: readonly ProxiedRoute[], optional: readonly ProxiedRoute[]): string {
  const lines = (routes: readonly ProxiedRoute[]): string =>
    routes.map((route) => `    "~${linePattern(route)}" emissary_gateway;`).join("\n");
  return `# ${GENERATED}
#
# For the http level: /etc/nginx/conf.d/emissary.conf. Then, in the server's block, the homeserver's location has
#     proxy_pass http://$matrix_backend;
# without anything after it, as in nginx-location.conf.

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
# For /etc/caddy/emissary.caddy. In the Caddyfile: \`import emissary.caddy\` at the top, and \`import emissary\` in the site, in place of
# its reverse_proxy for /_matrix.

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
# NOT TRIED: it has not been run with Traefik yet. For version 3.4 or newer, by the file provider. Put your host in place of
# matrix.example.org. Rooms' names have encoded characters: if Traefik answers 400 to them, set in its static configuration, under
# entryPoints.websecure.http.encodedCharacters, allowEncodedSlash, allowEncodedHash, allowEncodedPercent, allowEncodedQuestionMark
# and allowEncodedSemicolon to true.

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
