import { expect, test } from "vitest";
import { judge } from "../../../src/policy/judge.ts";
import type { Question } from "../../../src/policy/question.ts";

/** A room that we are in; more rooms, joins and members than may be. */
const HOLD: Question = {
  stage: "hold",
  kind: "peek",
  reach: null,
  moved: null,
  ownMembership: "join",
  look: { joinRule: "public", worldReadable: true, joinedMembers: 1_000_000, version: "11", encryption: null },
  vouched: false,
  matches: [],
  notExcepted: [],
  deniedRoutes: [],
  aclDenies: false,
  coolDown: null,
  upgrades: 0,
  roomsAttended: 100,
  joinsUnderWay: 100,
  held: { rooms: 100, underWay: 100 },
  shortage: null,
  now: 0,
  limits: { maxRooms: 1, maxMembers: 1, maxJoinsUnderWay: 1, refuseVersions: [] },
};

test.each(["peek", "tenant", "alias", "invite", "watch", "index", "operator"] as const)(
  "no %s loses its lease because a room grew, or because others want to be joined",
  (kind) => {
    expect(judge({ ...HOLD, kind }).code).toBe("allowed");
  },
);
