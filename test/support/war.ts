import { expect } from "vitest";
import { eventually } from "./service-app.ts";
import { at, type Cast } from "./war-cast.ts";
import { Dice } from "./war-dice.ts";
import { hostActs, hostIsWell } from "./war-host.ts";
import { calm, othersAct } from "./war-others.ts";
import { roomsOf } from "./war-pools.ts";
import type { Requests } from "./war-requests.ts";
import { setScene, type Scene } from "./war-scene.ts";
import { nothingTold, told } from "./war-told.ts";

/** Requests of the raider's that are under way at once. */
const AT_ONCE = 4;
/** Lines of what was done that a failure tells. */
const TOLD_LINES = 14;

/** A war of so many steps, decided by the seed. What is found in it fails, with what was done before. */
export async function war(cast: Cast, requests: Requests, seed: number, steps: number): Promise<void> {
  const dice = new Dice(seed);
  const scene = await setScene(cast, dice);
  try {
    for (let step = 0; step < steps; step += 1) await take(scene, requests, dice);
    await end(scene);
  } catch (error) {
    const trace = scene.trace.slice(-TOLD_LINES).map((line) => line.slice(0, 700));
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}\n\nwhat was done, the newest last:\n${trace.join("\n")}`, { cause: error });
  }
}

/** The raider asks, while the host does its work; before or after, somebody else does something. */
async function take(scene: Scene, requests: Requests, dice: Dice): Promise<void> {
  const { service, truth } = scene;
  if (dice.chance(0.5)) {
    await othersAct(scene, dice);
    if (dice.chance(0.7)) await service.untilDelivered();
  }
  const asked = Array.from({ length: AT_ONCE }, () => requests.ask(scene, requests.draw(scene, dice)));
  const acted = hostActs(scene, dice);
  for (const outcome of await Promise.allSettled([...asked, acted])) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
  truth.verify();
  await service.untilDelivered();
  await probe(scene, dice);
  truth.verify();
  if (dice.chance(0.3)) await comeBack(scene);
}

/** The raider tries the doors of a private room: none is open. */
export async function probe(scene: Scene, dice: Dice): Promise<void> {
  const { raider, rooms } = scene;
  const room = dice.pick([rooms.secret, rooms.den, rooms.office]);
  const client = dice.chance(0.7) ? raider.client : raider.client.as(raider.personas[0]);
  const tries = [
    client.ask("GET", `${at(room)}/messages?dir=b&limit=50`),
    client.ask("GET", `${at(room)}/state/m.room.topic`),
    client.send(room.id, { msgtype: "m.text", body: "the raider was here" }),
    client.ask("PUT", `${at(room)}/state/m.room.topic`, { topic: "the raider's" }),
  ];
  for (const [nr, answer] of (await Promise.all(tries)).entries()) {
    nothingTold(scene, answer, `door ${nr} of ${room.id}`);
    expect([nr, room.id, answer.status], answer.raw.toString()).toEqual([nr, room.id, 403]);
  }
}

/** The raider is back in its own rooms, as far as it is let: nothing is learnt of one who is nowhere. */
async function comeBack(scene: Scene): Promise<void> {
  const { raider } = scene;
  for (const client of [raider.client, raider.client.as(raider.personas[0])]) {
    const joined = await client.joinedRooms();
    const missing = [...new Set(roomsOf(scene).entered)].filter((id) => Array.isArray(joined) && !joined.includes(id));
    for (const id of missing) nothingTold(scene, await client.join(id), `join ${id}`);
  }
}

async function end(scene: Scene): Promise<void> {
  const { service, raider, rooms, truth } = scene;
  calm(scene);
  await service.untilDelivered();
  await hostIsWell(scene);
  truth.verify(true);
  const { client, listener, personas } = raider;
  for (const by of [client, ...personas.map((user) => client.as(user))]) {
    const joined = await by.joinedRooms();
    for (const { id } of [rooms.secret, rooms.den, rooms.office]) expect(joined).not.toContain(id);
  }
  nothingTold(scene, await client.ask("GET", "/sync"), "sync");
  nothingTold(scene, await client.ask("GET", "/sync?since=e0_0&timeout=0"), "sync from the beginning");
  await eventually("what the raider is brought", async () => {
    const { body } = await service.admin("GET", "/tenants/raider");
    const { delivery } = body as { delivery?: { lag_events?: number } };
    return delivery?.lag_events === 0;
  });
  for (const { raw, path } of listener.calls.splice(0)) told(scene, raw, path);
  for (const id of (await client.joinedRooms()) as string[]) await client.leave(id);
}
