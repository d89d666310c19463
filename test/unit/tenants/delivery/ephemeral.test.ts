import { expect, test } from "vitest";
import { forTenant } from "../../../../src/tenants/delivery/ephemeral.ts";
import type { JsonValue } from "../../../../src/model/json.ts";
import { ALICE, OWN, ROOM } from "../../../support/events.ts";

const typing = (users: JsonValue) => ({ type: "m.typing", room_id: ROOM, content: { user_ids: users } });
const receipt = (content: JsonValue) => ({ type: "m.receipt", room_id: ROOM, content });

test.each<[string, JsonValue, JsonValue]>([
  ["typing", typing([ALICE]), typing([ALICE])],
  ["typing of a tenant's among others'", typing([OWN, ALICE]), typing([ALICE])],
  // It says that the others have stopped.
  ["typing of nobody", typing([OWN]), typing([])],
  [
    "a receipt",
    receipt({ $e: { "m.read": { [ALICE]: { ts: 1 } } } }),
    receipt({ $e: { "m.read": { [ALICE]: { ts: 1 } } } }),
  ],
  [
    "a tenant's receipt among others'",
    receipt({
      $e: { "m.read": { [ALICE]: {}, [OWN]: {} }, "m.read.private": { [OWN]: {} } },
      $f: { "m.read": { [OWN]: {} } },
    }),
    receipt({ $e: { "m.read": { [ALICE]: {} } } }),
  ],
])("%s is handed on", (_what, given, expected) => {
  expect(forTenant(given, OWN, () => false)).toEqual(expected);
});

test.each<[string, JsonValue]>([
  ["a tenant's receipt alone", receipt({ $e: { "m.read": { [OWN]: {} } } })],
  ["presence", { type: "m.presence", sender: ALICE, content: { presence: "online" } }],
  ["what has no room", { type: "m.typing", content: { user_ids: [] } }],
  ["what is of no known type", { type: "m.other", room_id: ROOM, content: {} }],
  ["typing that is malformed", typing("alice")],
  ["a receipt that is malformed", receipt({ $e: 7, $f: { "m.read": null } })],
  ["no object", [7]],
  ["nothing", null],
])("%s is not", (_what, given) => {
  expect(forTenant(given, OWN, () => false)).toBeNull();
});
