import type { RoomAlias, RoomId, ServerName } from "../../src/model/ids.ts";
import type { Aliases, Pointing, RoomTarget } from "../../src/policy/pointers.ts";

/** A directory in which no alias points anywhere. */
export const NOWHERE = { pointing: async (): Promise<Pointing> => "elsewhere" };

/** A directory that a test fills, and what it was asked. */
export class FakeDirectory implements Aliases {
  readonly points = new Map<string, string>();
  readonly asked: string[] = [];
  isDown = false;

  async resolve(alias: RoomAlias): Promise<RoomTarget | null> {
    this.asked.push(alias);
    if (this.isDown) throw new Error("the homeserver does not answer");
    const roomId = this.points.get(alias);
    return roomId === undefined ? null : { roomId: roomId as RoomId, via: ["remote.example" as ServerName] };
  }
}
