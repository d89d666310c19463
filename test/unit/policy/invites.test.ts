import { expect, test } from "vitest";
import type { Grant } from "../../../src/model/tenant.ts";
import { addresseeOf } from "../../../src/policy/invites.ts";
import { ROOM } from "../../support/events.ts";
import { tenant } from "../../support/tenants.ts";

const grant = (room: string, source: Grant["source"] = "operator"): Grant => ({
  rooms: [room],
  actions: ["read"],
  types: null,
  source,
});

const TELEGRAM = tenant("telegram");
const IRC = tenant("irc");
const GRAM = tenant("gram");
const DOTTED = tenant("a.b-c_d");
const TENANTS = [DOTTED, GRAM, IRC, TELEGRAM];

test.each<[string, string | null, string | null]>([
  ["its ID alone", "telegram", "telegram"],
  ["its ID in a sentence", "We would like to have telegram here", "telegram"],
  ["its ID as the last word", "Please come, telegram.", "telegram"],
  ["its ID as a person would write it", "Telegram: please join!", "telegram"],
  ["its ID in quotes", "the bridge “telegram” (thanks)", "telegram"],
  ["its ID as a mention", "@telegram come here", "telegram"],
  ["its sender", "for @_emissary_telegram:ours.example, please", "telegram"],
  ["its sender at the end", "for @_emissary_telegram:ours.example.", "telegram"],
  ["an ID with all that IDs have", "for a.b-c_d.", "a.b-c_d"],
  ["its ID twice", "telegram telegram", "telegram"],
  ["several of them", "telegram or irc", null],
  ["a word that only holds its ID", "telegramming is fun", null],
  ["its ID within another language's word", "télégram", null],
  ["its ID as a part of a name", "telegram-bridge", null],
  ["a user whose name holds its sender", "@x_emissary_telegram:ours.example", null],
  ["its sender on another server", "@_emissary_telegram:elsewhere.example", null],
  ["nobody", "hello", null],
  ["nothing", "", null],
  ["no reason", null, null],
  ["its ID after a book", `${"x ".repeat(250)}telegram`, null],
])("an invite that names %s: %#", (_what, reason, meant) => {
  expect(addresseeOf(reason, ROOM, TENANTS)?.id ?? null).toBe(meant);
});

test.each<[string, string | null, readonly Grant[], readonly Grant[], string | null]>([
  ["the only one with a grant for the room", null, [grant(ROOM)], [grant("*")], "telegram"],
  ["the only one with a grant for such rooms", "hi", [grant("!*:remote.example")], [], "telegram"],
  ["the only one that was in the room by an invite", "hi", [grant(ROOM, "invite")], [grant("*")], "telegram"],
  ["nobody, where two have one", null, [grant(ROOM)], [grant(ROOM)], null],
  ["nobody, where all are for all rooms", null, [grant("*")], [grant("*")], null],
  ["nobody, where it is for another room", null, [grant("!another:remote.example")], [], null],
  ["the one it names, whatever the grants", "irc", [grant(ROOM)], [], "irc"],
  ["nobody, where it names both", "irc, telegram", [grant(ROOM)], [], null],
])("an invite is for %s", (_what, reason, telegrams, ircs, meant) => {
  const tenants = [tenant("irc", { grants: ircs }), tenant("telegram", { grants: telegrams })];
  expect(addresseeOf(reason, ROOM, tenants)?.id ?? null).toBe(meant);
});
