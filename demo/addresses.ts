/** What there is to try while the demo stays up. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Scene } from "./play.ts";
import type { Screen } from "./screen.ts";
import type { World } from "./setup.ts";

/** Writes the addresses and tokens as shell variables, so that the lines to copy stay short, and shows both. */
export async function showAddresses(world: World, scene: Scene, screen: Screen): Promise<void> {
  const { ours, other, emissary, alice, bob } = world;
  const variables = {
    OURS: ours.url,
    OTHER: other.url,
    GATEWAY: emissary.gatewayUrl,
    ADMIN: emissary.adminUrl,
    CONFIG: emissary.config,
    ROOM: scene.roomId,
    ALICE: alice.user.accessToken,
    BOB: bob.user.accessToken,
    TENANT: scene.tenantToken,
    ADMIN_TOKEN: await emissary.readAdminToken(),
  };
  const file = path.join(emissary.dir, "try.sh");
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'`);
  await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });

  screen.heading("Try it");
  screen.sentence("The tenant has joined bob's room again, and everything stays up.");
  screen.plain();
  screen.plain(`our homeserver        ${ours.url}   ${ours.serverName}`);
  screen.plain(`the other homeserver  ${other.url}   ${other.serverName}`);
  screen.plain(`Emissary's gateway    ${emissary.gatewayUrl}   a tenant's homeserver address`);
  screen.plain(`Emissary's admin API  ${emissary.adminUrl}   /health, /ready, /metrics, /_emissary/v1/status`);
  screen.plain(`alice, on ours        token ${alice.user.accessToken}, password alice`);
  screen.plain(`bob, on the other     token ${bob.user.accessToken}, password bob`);
  screen.plain(`${scene.tenant.name}, the tenant  token ${scene.tenantToken}`);
  screen.plain(`the room              ${scene.roomId}`);
  screen.plain(`its alias             ${scene.alias}`);
  screen.plain(`Emissary's files      ${emissary.dir}`);
  screen.plain();
  screen.sentence("In another terminal, in this directory (the file names the addresses and tokens above):");
  screen.plain();
  screen.plain(`. ${file}`);
  for (const example of EXAMPLES) {
    screen.plain();
    for (const line of example) screen.plain(line);
  }
  screen.plain();
  screen.sentence("Ctrl-C ends everything and throws it away, users and tokens too.");
}

const EXAMPLES = [
  [
    'bin/emissary --config "$CONFIG" status',
    'bin/emissary --config "$CONFIG" rooms list',
    'bin/emissary --config "$CONFIG" members "$ROOM"',
    'bin/emissary --config "$CONFIG" audit',
  ],
  [
    "# the tenant speaks; bob reads it on the other homeserver",
    'curl -s -H "Authorization: Bearer $TENANT" -X PUT -d \'{"msgtype":"m.text","body":"hi"}\' \\',
    '  "$GATEWAY/_matrix/client/v3/rooms/$ROOM/send/m.room.message/$(date +%s)"',
    'curl -s -H "Authorization: Bearer $BOB" "$OTHER/_matrix/client/v3/rooms/$ROOM/messages?dir=b&limit=2"',
  ],
  [
    "# the members, as bob's homeserver has them",
    'curl -s -H "Authorization: Bearer $BOB" "$OTHER/_matrix/client/v3/rooms/$ROOM/joined_members"',
  ],
  [
    "# alice reads without being in the room",
    'curl -s -H "Authorization: Bearer $ALICE" "$OURS/_matrix/client/v3/rooms/$ROOM/messages?dir=b&limit=2"',
  ],
  ["# Emissary's admin API", 'curl -s -H "Authorization: Bearer $ADMIN_TOKEN" "$ADMIN/_emissary/v1/status"'],
];
