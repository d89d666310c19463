import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MatrixRequestError, type MatrixUser, type RoomEvent } from "../../homeservers/synapse/client.ts";
import { journalEvents, storedMembers, type StoredMember } from "../support/database.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let ours: MatrixUser[];
let theirs: MatrixUser[];

beforeAll(async () => {
  stage = await openStage();
  const users = (server: Stage["ours"], names: readonly string[]): Promise<MatrixUser[]> =>
    Promise.all(names.map((name) => stage.user(server, name)));
  ours = await users(stage.ours, ["alice", "anna", "amir", "aoife", "axel"]);
  theirs = await users(stage.theirs, ["bob", "bea", "bilal", "brid", "boris"]);
});
afterAll(() => stage.close());

/** What our homeserver holds true, in the shape of the ledger's rows. */
async function homeserverMembers(roomId: string): Promise<StoredMember[]> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/members`;
  const { chunk } = await stage.askAsPseudouser<{ chunk: RoomEvent[] }>(path);
  return chunk
    .map((event) => ({
      user_id: event.state_key ?? "",
      membership: String(event.content["membership"]),
      event_id: event.event_id,
      displayname: (event.content["displayname"] as string | null | undefined) ?? null,
    }))
    .sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
}

type Deed = "join" | "leave" | "kick" | "ban" | "unban" | "invite" | "rename";

/** One deed of somebody's. The homeservers forbid many of them (a kick of somebody who is not there); those change nothing. */
async function does(roomId: string, who: MatrixUser, deed: Deed, whom: MatrixUser, name: string): Promise<void> {
  try {
    switch (deed) {
      case "join":
        await who.join(roomId, [stage.ours.serverName, stage.theirs.serverName]);
        break;
      case "leave":
        await who.leave(roomId);
        break;
      case "rename":
        await who.setDisplayname(name);
        break;
      default:
        await who[deed](roomId, whom.userId);
    }
  } catch (error) {
    if (!(error instanceof MatrixRequestError)) throw error;
  }
}

describe("the ledger's members", () => {
  it.each(["12", "10"])(
    "are the homeserver's after 200 random changes on both sides, several at a time, in a room of version %s",
    async (version) => {
      const [bob, ...others] = theirs as [MatrixUser, ...MatrixUser[]];
      const [alice] = ours as [MatrixUser, ...MatrixUser[]];
      const moderator = version === "12" ? {} : { [bob.userId]: 100 };
      const roomId = await bob.createRoom({
        preset: "public_chat",
        room_version: version,
        power_level_content_override: { users: { ...moderator, [alice.userId]: 90 } },
      });
      const tenant = await stage.tenant(`watcher-${version}`);
      await tenant.join(roomId, [stage.theirs.serverName]);
      await alice.join(roomId, [stage.theirs.serverName]);

      const people = [...ours.slice(1), ...others];
      const deeds = fc.sample(
        fc.record({
          deed: fc.constantFrom<Deed>(
            "join",
            "join",
            "join",
            "leave",
            "kick",
            "ban",
            "unban",
            "unban",
            "invite",
            "rename",
          ),
          person: fc.nat(people.length - 1),
          power: fc.boolean(),
          name: fc.string({ minLength: 1, maxLength: 12 }),
        }),
        { numRuns: 1_200, seed: 1777 },
      );
      // Some deeds are forbidden and some change nothing, so what counts is what came out of them.
      const changes = (): number =>
        journalEvents(stage.emissary.databasePath).filter(
          (event) => event.room_id === roomId && event.type === "m.room.member",
        ).length;
      for (let at = 0; at < deeds.length && (at % 40 !== 0 || changes() < 200); at += 4) {
        await Promise.all(
          deeds.slice(at, at + 4).map(({ deed, person, power, name }) => {
            const whom = people[person]!;
            const isOwnDeed = deed === "join" || deed === "leave" || deed === "rename";
            return does(roomId, isOwnDeed ? whom : power ? bob : alice, deed, whom, name);
          }),
        );
      }
      expect(changes()).toBeGreaterThanOrEqual(200);

      await until(
        "members that differ",
        async () => {
          const stored = storedMembers(stage.emissary.databasePath, roomId);
          const held = await homeserverMembers(roomId);
          return held.flatMap((member, index) =>
            JSON.stringify(member) === JSON.stringify(stored[index]) ? [] : [{ held: member, stored: stored[index] }],
          );
        },
        (different) => different.length === 0,
      );
      expect(storedMembers(stage.emissary.databasePath, roomId)).toEqual(await homeserverMembers(roomId));
    },
  );

  it("are complete for a room that had its members before we came", async () => {
    const [bob, ...others] = theirs as [MatrixUser, ...MatrixUser[]];
    const roomId = await bob.createRoom({ preset: "public_chat" });
    for (const other of others) await other.join(roomId);
    await bob.ban(roomId, others[0]!.userId);
    await others[1]!.leave(roomId);

    const tenant = await stage.tenant("latecomer");
    await tenant.join(roomId, [stage.theirs.serverName]);

    await until(
      "the ledger's members",
      async () => storedMembers(stage.emissary.databasePath, roomId),
      (stored) => stored.length === theirs.length + 1,
    );
    expect(storedMembers(stage.emissary.databasePath, roomId)).toEqual(await homeserverMembers(roomId));
  });
});
