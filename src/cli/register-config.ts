import { isMap, parseDocument, type Document } from "yaml";
import { sections } from "../platform/config/config.ts";
import { formatListen, parseListen } from "../platform/config/values.ts";

export const DEFAULT_LISTEN = sections.appservice.shape.listen.def.defaultValue;

const NEW = `# Emissary's configuration, written by \`emissary register\`. It holds a secret.
# All other keys, with their defaults, are in config.sample.yaml.

homeserver:
  # Where Emissary reaches the homeserver.
  url: ""
  server_name: ""

appservice:
  # Where the homeserver reaches Emissary; registration.yaml says the same.
  url: ""

admin:
  # \`emissary status\` and the other commands show this to the running daemon.
  token: ""
`;

/** Returns emissary.yaml with these values: the former file with its comments and other settings, or a new one. */
export function writtenConfig(
  former: Document | null,
  values: {
    readonly homeserverUrl: string;
    readonly serverName: string;
    readonly url: string;
    readonly localpart: string;
    readonly adminToken: string;
  },
): string {
  const document = former ?? parseDocument(NEW);
  set(document, "homeserver", "url", values.homeserverUrl);
  set(document, "homeserver", "server_name", values.serverName);
  set(document, "appservice", "url", values.url);
  const listen = listenFor(values.url);
  if (former === null && listen !== null && listen !== DEFAULT_LISTEN) set(document, "appservice", "listen", listen);
  // The registration is written beside this file under its default name.
  if (document.hasIn(["appservice", "registration"])) set(document, "appservice", "registration", "registration.yaml");
  if (values.localpart !== "" || document.hasIn(["pseudouser", "localpart"])) {
    set(document, "pseudouser", "localpart", values.localpart);
  }
  // The operator changes a token in a separate file.
  if (!document.hasIn(["admin", "token_file"])) set(document, "admin", "token", values.adminToken);
  return document.toString({ lineWidth: 0 });
}

/** Returns the listen address that serves `url`; null unless that is on this machine and without TLS. */
export function listenFor(url: string): string | null {
  const { protocol, hostname, port } = new URL(url);
  const local = hostname === "localhost" ? "127.0.0.1" : hostname;
  if (protocol !== "http:" || port === "" || (local !== "127.0.0.1" && local !== "[::1]")) return null;
  const address = parseListen(`${local}:${port}`);
  return address && formatListen(address);
}

function set(document: Document, section: string, key: string, value: string): void {
  // A section with all keys commented out is null, and null holds no keys.
  if (!isMap(document.get(section))) document.set(section, document.createNode({}));
  document.setIn([section, key], value);
}
