import { expect, test } from "vitest";
import { isAliasLookUp, kindOf, serverAsked } from "../../../../src/http/door/kinds.ts";
import type { ServerName } from "../../../../src/model/ids.ts";

const OWN = "hs.test" as ServerName;

test.each([
  ["/_matrix/client/v3/directory/room/%23a%3Aevil.test", "evil.test"],
  ["/_matrix/client/r0/directory/room/%23a:evil.test:8448", "evil.test:8448"],
  ["/_matrix/client/v3/directory/room/%23a%3Ahs.test", null],
  ["/_matrix/client/v3/directory/room/x/../%23a%3Aevil.test", "evil.test"],
  ["/_matrix/client/v1/room_summary/!x%3Aevil.test?via=evil.test", "evil.test"],
  ["/_matrix/client/v1/room_summary/!x%3Aevil.test?server_name=evil.test", "evil.test"],
  ["/_matrix/client/v1/room_summary/!x%3Aevil.test", null],
  ["/_matrix/client/unstable/im.nheko.summary/rooms/%23a%3Aevil.test/summary", "evil.test"],
  ["/_matrix/client/v3/publicRooms?server=evil.test", "evil.test"],
  ["/_matrix/client/v3/publicRooms?server=hs.test", null],
  ["/_matrix/client/v3/profile/%40u%3Aevil.test/displayname", "evil.test"],
  ["/_matrix/client/v3/join/%23a%3Aevil.test", "evil.test"],
  ["/_matrix/media/v3/download/evil.test/id", "evil.test"],
  ["/_matrix/media/r0/thumbnail/evil.test/id?width=1", "evil.test"],
  ["/_matrix/client/v1/media/download/evil.test/id/name", "evil.test"],
  ["/_matrix/media/v3/download/hs.test/id", null],
  ["/_matrix/client/v3/login", null],
  ["/_matrix/client/v3/rooms/!x%3Aevil.test/messages?dir=b", null],
  ["/%zz/%23a%3Aevil.test", "evil.test"],
])("%s has the homeserver ask %s", (url, server) => {
  expect(serverAsked(url, OWN)).toBe(server);
});

test.each([
  ["/_matrix/client/v3/sync?timeout=30000", "wait"],
  ["/_matrix/client/v3/events?room_id=x", "wait"],
  ["/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", "wait"],
  ["/_matrix/client/v3/join/%23a%3Ab", "wait"],
  ["/_matrix/client/v3/rooms/!x/join", "wait"],
  ["/_matrix/client/unstable/org.matrix.msc2753/peek/!x", "wait"],
  ["/_matrix/client/v3/rooms/!x/initialSync", "wait"],
  ["/_matrix/media/v3/upload", "media"],
  ["/_matrix/client/v1/media/download/a/b", "media"],
  ["/_matrix/client/v3/rooms/!x/messages", "short"],
  ["/_matrix/client/v3/rooms/!x/send/m.room.message/sync", "wait"],
])("%s takes a place of the kind %s", (url, kind) => {
  expect(kindOf(url)).toBe(kind);
});

test.each([
  ["/_matrix/client/v3/directory/room/%23a%3Aevil.test", true],
  ["/_matrix/client/r0/directory/room/%23a:evil.test:8448", true],
  ["/_matrix/client/api/v1/directory/room/%23a%3Aevil.test", true],
  ["/_matrix/client/v3/directory/room/%23a%3Aevil.test?server=other.test", false],
  ["/_matrix/client/v3/directory/room/%40u%3Aevil.test", false],
  ["/_matrix/client/v3/directory/room/x/../%23a%3Aevil.test", false],
  ["/_matrix/client/v3/directory/room/%23a%3Aevil.test/", false],
  ["/_matrix/client/v3/directory/list/room/%23a%3Aevil.test", false],
  ["/_matrix/client/v3/join/%23a%3Aevil.test", false],
  ["/_matrix/client/v1/directory/room/%23a%3Aevil.test", false],
])("%s looks an alias up: %s", (url, is) => {
  expect(isAliasLookUp(url)).toBe(is);
});
