import { describe, expect, it } from "vitest";
import type { EventId, RoomId } from "../../../../src/model/ids.ts";
import { StallDetector, type Delivery } from "../../../../src/ledger/comparing/delivery.ts";
import { ManualClock } from "../../../support/clock.ts";

const ROOM = "!room:remote.example" as RoomId;
const NEVER = new AbortController().signal;
const GRACE = 30_000;

/** A homeserver with one room, of which it tells the newest event. */
function scene() {
  const clock = new ManualClock();
  const world = {
    newest: null as EventId | null,
    received: new Set<string>(),
    pings: 0,
    pingError: null as string | null,
  };
  const watch = new StallDetector({
    queries: {
      newestEvent: async () => world.newest,
      ping: async () => {
        world.pings += 1;
        return world.pingError;
      },
    },
    store: { liveliest: async () => [ROOM] },
    clock,
    knows: (eventId) => world.received.has(eventId),
  });
  /** RoomSummaries, and lets the time of grace pass while `meanwhile` happens. */
  const look = async (meanwhile: () => void = () => undefined): Promise<Delivery> => {
    const looking = watch.look(NEVER);
    await clock.advance(GRACE - 1);
    meanwhile();
    await clock.advance(1);
    return looking;
  };
  return { clock, world, watch, look };
}

describe("delivery is flowing", () => {
  it("where the newest event of the room has come", async () => {
    const { world, look } = scene();
    world.newest = "$a" as EventId;
    world.received.add("$a");
    expect(await look()).toEqual({ state: "flowing" });
    expect(world.pings).toBe(0);
  });

  it("where it comes within the time of grace", async () => {
    const { world, look } = scene();
    world.newest = "$a" as EventId;
    expect(await look(() => world.received.add("$a"))).toEqual({ state: "flowing" });
    expect(world.pings).toBe(0);
  });

  it("where the homeserver does not tell", async () => {
    const { look } = scene();
    expect(await look()).toEqual({ state: "flowing" });
  });
});

describe("an event that does not come", () => {
  it("is silence at first, and the homeserver is made to try again; then a stall; and flowing once it came", async () => {
    const { clock, world, watch, look } = scene();
    world.newest = "$a" as EventId;
    const since = clock.now();
    expect(await look()).toEqual({ state: "silent", since, cause: null });
    expect(world.pings).toBe(1);

    world.pingError = "M_CONNECTION_FAILED: refused";
    expect(await look()).toEqual({ state: "stalled", since, cause: "M_CONNECTION_FAILED: refused" });
    expect(watch.delivery.state).toBe("stalled");

    world.received.add("$a");
    expect(await look()).toEqual({ state: "flowing" });
  });
});
