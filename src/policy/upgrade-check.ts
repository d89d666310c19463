import { hasCreatorPower } from "../model/power-levels.ts";
import { isOpen, isReadable, type Openness } from "./openness.ts";
import { hasPeekableRule, PEEKABLE, ROOM_VERSION } from "../auth/version.ts";

/** A room that somebody considers upgrading. */
export interface RoomToMove extends Openness {
  readonly encryption: string | null;
  readonly canonicalAlias: string | null;
  /** Servers of its joined members, including ours; null if we are not in the room. */
  readonly servers: number | null;
  /** Whether a user of our server is joined or invited. */
  readonly vouched: boolean;
}

/** One aspect of the room, now and after the move. */
export interface UpgradeNote {
  readonly topic: string;
  readonly now: string;
  readonly then: string;
}

export interface UpgradeCheck {
  /** `moved`: it has the version already; `counts`: it counts as peekable in its version; `closed`: it does not. */
  readonly standing: "moved" | "counts" | "closed";
  readonly notes: readonly UpgradeNote[];
  /** Steps in order for the same effect in today's versions; empty if none is needed. */
  readonly today: readonly string[];
}

/** Compares the room now and after a move to MSC1777's room version; lists what to do instead of moving. Pure. */
export function checkUpgrade(room: RoomToMove): UpgradeCheck {
  const isMoved = hasPeekableRule(room.version);
  const counts = isOpen(room) && isReadable(room);
  const notes = isMoved ? notesOf(room, counts) : [...notesOf(room, counts), ...notesBeforeMove(room)];
  if (isMoved) return { standing: "moved", notes, today: [] };
  return counts ? { standing: "counts", notes, today: [] } : { standing: "closed", notes, today: stepsToday(room) };
}

function notesOf(room: RoomToMove, counts: boolean): UpgradeNote[] {
  const { version, joinRule, encryption, vouched } = room;
  const isMoved = hasPeekableRule(version);
  const encrypted = encryption === null ? "" : "; what is said is encrypted, so they see that, and not what, was said";
  const unlessVouched = vouched ? ", other than where a user of their server is in the room" : "";
  const restraint =
    "servers' pseudousers may come, by their own servers' restraint: the room cannot keep them out without closing";
  return [
    {
      topic: "version",
      now: `version ${version ?? "unknown"}`,
      then: isMoved
        ? `version ${ROOM_VERSION}, which it has already`
        : `a new room of version ${ROOM_VERSION}, which is experimental: members have to join it, its history stays in the old room, and ` +
          "there is no way back but another upgrade",
    },
    {
      topic: "joining",
      now: isOpen(room) ? "everybody may join" : `the join rule is ${joinRule ?? "not set"}`,
      then: `join rule ${PEEKABLE}: everybody may join, as in a public room`,
    },
    {
      topic: "reading",
      now: isReadable(room) ? `non-members may read${encrypted}` : "non-members read nothing",
      then: `non-members may read what is said from then on, whatever m.room.history_visibility says${encrypted}`,
    },
    {
      topic: "pseudousers",
      now: isMoved
        ? "the room's servers enforce who may come"
        : counts
          ? restraint
          : `pseudousers keep out${unlessVouched}`,
      then: `every server's may come while the rule is ${PEEKABLE}; with any other rule only one whose server has a user in the room or invited`,
    },
  ];
}

/** Returns the notes that only concern rooms without MSC1777's version. */
function notesBeforeMove({ version, servers, canonicalAlias }: RoomToMove): UpgradeNote[] {
  const here = servers === null ? "the room's servers" : servers === 1 ? "our server alone" : `${servers} servers`;
  const others = {
    topic: "servers",
    now: `${here}, of whatever software`,
    then: "only servers that know the version can come along: today such as run the patched Synapse of homeservers/synapse-peekable; the others lose the room",
  };
  if (version !== null && hasCreatorPower(version)) return [others];
  const alias =
    canonicalAlias === null
      ? " and the room has no alias that would spare them"
      : `; ${canonicalAlias} can be pointed to it`;
  const identity = {
    topic: "as version 12",
    now: "power levels and a room ID with a server in it",
    then: `whoever makes the room has power that nobody can take away, and the room ID names no server, so links need \`via\`${alias}`,
  };
  return [others, identity];
}

function stepsToday(room: RoomToMove): string[] {
  const open = 'send m.room.join_rules with {"join_rule": "public"}';
  const show =
    'send m.room.history_visibility with {"history_visibility": "world_readable"}: what was said before keeps the visibility that it had';
  const invite = "or leave it closed and invite our pseudouser, if only our server is to take part";
  return [...(isOpen(room) ? [] : [open]), ...(isReadable(room) ? [] : [show]), invite];
}
