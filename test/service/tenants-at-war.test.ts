/**
 * Tenants at war: one asks whatever the Act API has, drawn from the table of its endpoints, with rooms, events, users and marks of the
 * other's; strangers help it with tombstones, aliases and invites; the other does its work meanwhile. Nothing of the other's is read,
 * changed or held up. A new endpoint is drawn as soon as it is in the table.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Endpoint } from "../../src/tenants/act/act.ts";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { cast } from "../support/war-cast.ts";
import { poolFor } from "../support/war-pools.ts";
import { Requests, WAYS } from "../support/war-requests.ts";
import { war } from "../support/war.ts";

const STEPS = 18;

/** What has to have been done at least once, for what is refused to say something. */
const SURE = [
  "PUT /rooms/:roomId/send/:eventType/:txnId",
  "PUT /rooms/:roomId/state/:eventType/:stateKey",
  "GET /rooms/:roomId/state",
  "GET /rooms/:roomId/event/:eventId",
  "POST /rooms/:roomId/invite",
  "POST /rooms/:roomId/leave",
  "POST /join/:roomIdOrAlias",
  "POST /createRoom",
  "GET /sync",
];

test("the war knows what is interesting in every parameter of every endpoint", () => {
  const names = WAYS.flatMap(({ path }) => [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? ""));
  for (const name of new Set(names)) expect(poolFor(name)).toBeTypeOf("function");
});

test(
  "whatever one tenant asks, with strangers to help it, it reads, changes and stops nothing of another's",
  { timeout: 240_000 },
  async () => {
    const sides = await cast({ policy: { maxRooms: 100_000 } });
    const requests = new Requests();
    await fc.assert(
      fc.asyncProperty(fc.integer(), (seed) => war(sides, requests, seed, STEPS)),
      { numRuns: roundsOf(8), seed: seedOf(13), endOnFailure: true },
    );
    expect([...requests.drawn].sort()).toEqual(WAYS.map(({ name }) => name).sort());
    // It was no quiet time: the raider was let do most of what there is, and these for certain.
    const nameOf = ({ method, path }: Endpoint): string => `${method} ${path}`;
    const open = new Set(ENDPOINTS.filter(({ how }) => how !== "refused").map(nameOf));
    const done = new Set(WAYS.filter(({ name }) => requests.done.has(name)).map(({ endpoint }) => nameOf(endpoint)));
    expect(SURE.filter((name) => !done.has(name))).toEqual([]);
    expect(done.size / open.size, `done: ${[...done].join()}`).toBeGreaterThan(0.6);
  },
);
