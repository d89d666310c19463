import { describe, expect, test } from "vitest";
import type { RoomId, ServerName } from "../../../src/model/ids.ts";
import type { Holder } from "../../../src/model/lease.ts";
import type { RoomSummary } from "../../../src/policy/question.ts";
import { RoomSummaries } from "../../../src/policy/room-summaries.ts";
import { PUBLIC } from "../../support/attending.ts";
import { ManualClock, settle } from "../../support/clock.ts";

const USER: Holder = { kind: "peek", name: "user.device" };
const room = (nr: number): RoomId => `!${nr}` as RoomId;
const through = (name: string): ServerName[] => [name as ServerName];

/** A homeserver whose answers the test gives. */
function scene() {
  const clock = new ManualClock();
  const asked: { readonly roomId: RoomId; readonly answer: (look: RoomSummary | null) => void }[] = [];
  const looker = {
    look: (roomId: RoomId) => new Promise<RoomSummary | null>((answer) => asked.push({ roomId, answer })),
  };
  const looks = new RoomSummaries(looker, clock);
  const answerAll = async (): Promise<void> => {
    await settle();
    for (let done = 0; done < asked.length; done += 1) {
      asked[done]?.answer(PUBLIC);
      await settle();
    }
  };
  return { clock, asked, looks, answerAll };
}

describe("looking at rooms from outside", () => {
  test("many who ask the same at once share one question, and the answer holds for a while", async () => {
    const { clock, asked, looks, answerAll } = scene();
    const all = Array.from({ length: 1_000 }, async () => looks.look(USER, room(1), through("a")));
    await answerAll();
    expect(new Set(await Promise.all(all))).toEqual(new Set([PUBLIC]));
    await clock.advance(29_000);
    await looks.look(USER, room(1), through("a"));
    expect(asked).toHaveLength(1);
    await clock.advance(2_000);
    void looks.look(USER, room(1), through("a"));
    await settle();
    expect(asked).toHaveLength(2);
  });

  test("a fresh one is asked for whatever was answered", async () => {
    const { asked, looks, answerAll } = scene();
    const first = looks.look(USER, room(1), through("a"));
    await answerAll();
    await first;
    void looks.look(USER, room(1), through("a"), { fresh: true });
    await settle();
    expect(asked).toHaveLength(2);
  });

  test("a fresh one costs nobody, however often the operator asks", async () => {
    const { asked, looks } = scene();
    for (let nr = 0; nr < 400; nr += 1) {
      const look = looks.look(USER, room(nr), through("a"), { fresh: true });
      await settle();
      asked.at(-1)?.answer(PUBLIC);
      await look;
    }
    void looks.look(USER, room(401), through("a"));
    await settle();
    expect(asked).toHaveLength(401);
  });

  test("through a silent server four wait at once, and looks through others go by them", async () => {
    const { asked, looks } = scene();
    for (let nr = 0; nr < 50; nr += 1) void looks.look({ ...USER, name: `${nr}` }, room(nr), through("silent"));
    void looks.look(USER, room(99), through("quick"));
    await settle();
    expect(asked.map(({ roomId }) => roomId)).toEqual([room(0), room(1), room(2), room(3), room(99)]);
  });

  test("the next in line takes the place of one that was answered", async () => {
    const { asked, looks } = scene();
    for (let nr = 0; nr < 6; nr += 1) void looks.look(USER, room(nr), through("slow"));
    await settle();
    asked[1]?.answer(null);
    await settle();
    expect(asked.map(({ roomId }) => roomId)).toEqual([0, 1, 2, 3, 4].map(room));
  });

  test("a user is told to wait after three hundred, whatever came of them, and others are not", async () => {
    const { looks, asked } = scene();
    const answered = async (holder: Holder, nr: number): Promise<unknown> => {
      const look = looks.look(holder, room(nr), through(`${nr}`));
      await settle();
      asked.at(-1)?.answer(null);
      return look;
    };
    for (let nr = 0; nr < 300; nr += 1) await answered(USER, nr);
    await expect(looks.look({ ...USER, name: "user.other-device" }, room(300), [])).rejects.toMatchObject({
      code: "limited",
      reason: "budget-user",
      retryAfter: 12_000,
    });
    await expect(answered({ kind: "peek", name: "another" }, 300)).resolves.toBeNull();
    expect(asked).toHaveLength(301);
  });

  test("more than a thousand do not wait in line", async () => {
    const { looks } = scene();
    for (let nr = 0; nr < 1_004; nr += 1) void looks.look({ kind: "alias", name: "" }, room(nr), through("silent"));
    await settle();
    await expect(looks.look(USER, room(2_000), through("silent"))).rejects.toMatchObject({
      code: "limited",
      reason: "busy",
    });
  });
});
