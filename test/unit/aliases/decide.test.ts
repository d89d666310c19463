import { describe, expect, test } from "vitest";
import type { AliasFacts, AliasLine } from "../../../src/aliases/alias.ts";
import {
  adviceFor,
  decide,
  refused,
  repairFor,
  statusOf,
  type AliasDecision,
  type AliasQuestion,
} from "../../../src/aliases/decide.ts";
import type { AliasRepair, KnownAlias } from "../../../src/aliases/alias.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomAlias, RoomId, ServerName } from "../../../src/model/ids.ts";

const ALIAS = "#square:example.org" as RoomAlias;
const ROOM = "!room:example.org" as RoomId;
const OTHER = "!other:example.org" as RoomId;
const NOW = 1_000_000;

const known = (more: Partial<KnownAlias> = {}): KnownAlias => ({
  alias: ALIAS,
  roomId: ROOM,
  state: "kept",
  code: null,
  reason: null,
  since: 1,
  checkedAt: 1,
  emptySince: null,
  movingTo: null,
  ...more,
});

const NOTHING: AliasFacts = { known: null, held: [], ended: null, hasOrdinary: null, via: [] };

function decided(facts: Partial<AliasFacts>, more: Partial<AliasQuestion> = {}): AliasDecision {
  return decide({
    alias: ALIAS,
    target: ROOM,
    facts: { ...NOTHING, ...facts },
    occasion: "sweep",
    now: NOW,
    options: { emptyRooms: "keep", emptyAfter: 1_000 },
    ...more,
  });
}

const RELEASE = { options: { emptyRooms: "release", emptyAfter: 1_000 } } as const;
const EVENT = { occasion: "event" } as const;

describe("what is done with an alias", () => {
  test.each<
    [string, Partial<AliasFacts>, Partial<AliasQuestion>, AliasDecision["then"], readonly RoomId[], string | null]
  >([
    ["that is new", {}, {}, "take", [], "unknown joining"],
    ["that is new, told by an event", {}, EVENT, "take", [], "unknown joining"],
    ["that is held", { known: known(), held: [ROOM] }, {}, "rest", [], "kept null"],
    ["that is gone", { known: known(), held: [ROOM] }, { target: null }, "forget", [ROOM], null],
    ["that is gone and was never known", {}, { target: null }, "forget", [], null],
    ["that points elsewhere", { known: known(), held: [ROOM] }, { target: OTHER }, "take", [ROOM], "unknown joining"],
    ["whose lease moved with an upgrade", { known: known(), held: [OTHER] }, {}, "take", [OTHER], "unknown joining"],
    ["held in two rooms", { known: known(), held: [OTHER, ROOM] }, {}, "rest", [OTHER], "kept null"],
    ["that was refused", { known: known({ state: "refused" }) }, {}, "take", [], "unknown joining"],
    ["that was refused, told by an event", { known: known({ state: "refused" }) }, EVENT, "rest", [], null],
    ["that dangles, told by an event", { known: known({ state: "dangling" }) }, EVENT, "rest", [], null],
    [
      "refused elsewhere, told by an event",
      { known: known({ state: "refused" }) },
      { ...EVENT, target: OTHER },
      "take",
      [],
      "unknown joining",
    ],
    ["put out of its room", { known: known(), ended: "kicked" }, {}, "take", [], "unknown joining"],
    ["put out of its room, told by an event", { known: known(), ended: "banned" }, EVENT, "rest", [], null],
    ["refused by the homeserver, told by an event", { known: known(), ended: "refused" }, EVENT, "rest", [], null],
    [
      "given back before, told by an event",
      { known: known(), ended: "released" },
      EVENT,
      "take",
      [],
      "unknown joining",
    ],
    [
      "of an empty room that is kept",
      { known: known({ emptySince: 1 }), held: [ROOM], hasOrdinary: false },
      {},
      "rest",
      [],
      "kept null",
    ],
    ["of a room newly empty", { known: known(), held: [ROOM], hasOrdinary: false }, RELEASE, "rest", [], "kept null"],
    [
      "of a room long empty",
      { known: known({ emptySince: 1 }), held: [ROOM], hasOrdinary: false },
      RELEASE,
      "rest",
      [ROOM],
      "refused empty",
    ],
    [
      "given up as empty, and not known better",
      { known: known({ state: "refused", code: "empty", emptySince: 1 }) },
      RELEASE,
      "rest",
      [],
      "refused empty",
    ],
    [
      "given up as empty, and somebody is there",
      { known: known({ state: "refused", code: "empty", emptySince: 1 }), hasOrdinary: true },
      RELEASE,
      "take",
      [],
      "unknown joining",
    ],
  ])("%s", (_what, facts, more, then, release, state) => {
    const decision = decided(facts, more);
    expect({ then: decision.then, release: decision.release }).toEqual({ then, release });
    expect(decision.record === null ? null : `${decision.record.state} ${String(decision.record.code)}`).toBe(state);
  });

  test.each<[string, Partial<AliasFacts>, number | null]>([
    ["begins when the last is seen to be gone", { known: known(), hasOrdinary: false }, NOW],
    ["goes on", { known: known({ emptySince: 7 }), hasOrdinary: false }, 7],
    ["goes on while nothing is known", { known: known({ emptySince: 7 }), hasOrdinary: null }, 7],
    ["ends when somebody is there", { known: known({ emptySince: 7 }), hasOrdinary: true }, null],
    ["is another room's", { known: known({ emptySince: 7, roomId: OTHER }), hasOrdinary: null }, null],
  ])("a room's emptiness %s", (_what, facts, emptySince) => {
    expect(decided({ held: [ROOM], ...facts }).record?.emptySince).toBe(emptySince);
  });

  test("what stays as it was is told with its first moment", () => {
    expect(decided({ known: known({ since: 5 }), held: [ROOM] }).record?.since).toBe(5);
    expect(decided({ known: known({ since: 5, state: "refused" }), held: [ROOM] }).record?.since).toBe(NOW);
  });
});

const policySays = (reason: string, code: "refused-by-policy" | "limited" = "refused-by-policy"): EmissaryError =>
  new EmissaryError(code, "Policy refuses it.", { reason });
const VIA = ["elsewhere.test" as ServerName];

describe("what policy's refusal means", () => {
  test.each<[EmissaryError, boolean | null, readonly ServerName[], string]>([
    [policySays("join-rule"), null, VIA, "refused join-rule"],
    [policySays("denied"), null, [], "refused denied"],
    [policySays("not-visible"), true, [], "refused not-visible"],
    [policySays("not-visible"), false, [], "dangling no-server"],
    [policySays("not-visible"), false, VIA, "unknown not-visible"],
    [policySays("budget-all", "limited"), null, [], "unknown budget-all"],
    [policySays("busy", "limited"), null, [], "unknown busy"],
  ])("%s, resident %j, by %j: %s", (refusal, isResident, via, wanted) => {
    const { state, code } = refused(refusal, isResident, via);
    expect(`${state} ${String(code)}`).toBe(wanted);
  });
});

const line = (more: Partial<AliasLine> & { readonly known?: KnownAlias } = {}): AliasLine => ({
  known: known(),
  isHeld: false,
  isPresent: false,
  ended: null,
  endedAt: null,
  attendance: { code: null, reason: null },
  replacement: null,
  named: [],
  ...more,
});
const said = (code: string, reason = "its words") => ({
  attendance: { code, reason },
  ended: "refused" as const,
  endedAt: 9,
});

describe("how an alias stands", () => {
  test.each<[string, AliasLine, string]>([
    [
      "held and there",
      line({ isHeld: true, isPresent: true, known: known({ state: "unknown", code: "joining" }) }),
      "kept null 1",
    ],
    ["held and on its way", line({ isHeld: true }), "unknown joining 1"],
    [
      "held, and the join fails for now",
      line({ isHeld: true, attendance: { code: "timeout", reason: "slow" } }),
      "unknown timeout 1",
    ],
    ["refused by the homeserver", line(said("M_FORBIDDEN")), "refused M_FORBIDDEN 9"],
    ["of a room without servers", line(said("M_NOT_FOUND")), "dangling M_NOT_FOUND 9"],
    ["likewise, with other words", line(said("M_UNKNOWN", "No known servers")), "dangling M_UNKNOWN 9"],
    ["refused for a reason unknown", line(said("M_UNKNOWN")), "refused M_UNKNOWN 9"],
    ["kicked", line({ ended: "kicked", endedAt: 9 }), "refused kicked 9"],
    ["moved with an upgrade", line({ ended: "upgraded", endedAt: 9 }), "unknown upgraded 9"],
    [
      "refused by policy, whatever ended before",
      line({ known: known({ state: "refused", code: "join-rule" }), ended: "kicked" }),
      "refused join-rule 1",
    ],
  ])("%s", (_what, alias, wanted) => {
    const { state, code, since } = statusOf(alias);
    expect(`${state} ${String(code)} ${since}`).toBe(wanted);
  });
});

describe("what can be done about an alias", () => {
  const dangling = known({ state: "dangling", code: "no-server" });
  const closed = known({ state: "refused", code: "join-rule" });
  test.each<[string, AliasLine, AliasRepair | null, RegExp | null]>([
    ["kept", line({ isHeld: true, isPresent: true }), null, null],
    ["kept, and its room was replaced", line({ isHeld: true, isPresent: true, replacement: OTHER }), null, /!other/],
    ["dangling", line({ known: dangling }), { act: "remove" }, /--repair/],
    [
      "dangling, and replaced",
      line({ known: dangling, replacement: OTHER, named: [ROOM] }),
      { act: "point", roomId: OTHER, by: "replaced" },
      /--repair/,
    ],
    [
      "dangling, and another room calls itself so",
      line({ known: dangling, named: [OTHER] }),
      { act: "point", roomId: OTHER, by: "named" },
      /--repair/,
    ],
    [
      "dangling, and two rooms call themselves so",
      line({ known: dangling, named: [OTHER, ROOM] }),
      { act: "remove" },
      /--repair/,
    ],
    ["refused", line({ known: closed }), null, /emissary rooms join/],
    [
      "refused, and replaced",
      line({ known: closed, replacement: OTHER }),
      { act: "point", roomId: OTHER, by: "replaced" },
      /--repair/,
    ],
    ["denied", line({ known: known({ state: "refused", code: "denied" }) }), null, /policy explain/],
    ["unknown", line({ known: known({ state: "unknown", code: "not-visible" }) }), null, /looked at again/],
  ])("%s", (_what, alias, repair, advice) => {
    const status = statusOf(alias);
    expect(repairFor(alias, status)).toEqual(repair);
    const words = adviceFor(alias, status);
    if (advice === null) expect(words).toBeNull();
    else expect(words).toMatch(advice);
  });
});
