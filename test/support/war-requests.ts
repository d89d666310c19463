import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import type { Endpoint } from "../../src/tenants/act/act.ts";
import { stringAt } from "../../src/model/json.ts";
import { CLIENT_V3 } from "../../src/http/client-paths.ts";
import type { Answer } from "./service-app.ts";
import { bodyFor } from "./war-bodies.ts";
import type { Dice } from "./war-dice.ts";
import { poolFor, roomsOf, usersOf, type Chosen } from "./war-pools.ts";
import type { Scene } from "./war-scene.ts";
import { nothingTold } from "./war-told.ts";

/** One row of the endpoint table, under one of its prefixes. */
export interface Way {
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly name: string;
}

/** All that a tenant may ask, as the table has it. */
export const WAYS: readonly Way[] = ENDPOINTS.flatMap((endpoint) =>
  (endpoint.under ?? CLIENT_V3).map((prefix) => {
    const path = `${prefix}${endpoint.path}`;
    return { endpoint, path, name: `${endpoint.method} ${path}` };
  }),
);

/** Those that change something, or read what the homeserver shows the pseudouser: in them the harm would be done. */
const SHARP: readonly Way[] = WAYS.filter(({ endpoint: { how, method, path } }) => {
  return how !== "refused" && (method !== "GET" || path.startsWith("/rooms/:roomId"));
});

export interface Drawn {
  readonly way: Way;
  readonly target: string;
  readonly body: unknown;
  readonly chosen: Chosen;
}

/** Draws requests of the raider's from all of the table: no way is drawn twice before each was drawn once. */
export class Requests {
  readonly drawn = new Set<string>();
  /** How often each way was answered with 200. */
  readonly done = new Map<string, number>();
  #deck: Way[] = [];

  draw(scene: Scene, dice: Dice): Drawn {
    if (this.#deck.length === 0) this.#deck = dice.shuffled(WAYS);
    const way = dice.chance(0.5) ? dice.pick(SHARP) : (this.#deck.pop() as Way);
    this.drawn.add(way.name);
    return drawn(way, scene, dice);
  }

  /** Asks, and looks at the answer: nothing in it is to tell the raider what is not its own. */
  async ask(scene: Scene, { way, target, body, chosen }: Drawn): Promise<Answer> {
    const { service, raider, truth, homeserver, trace } = scene;
    const asked = `${way.endpoint.method} ${target} ${body === undefined ? "" : JSON.stringify(body).slice(0, 400)}`;
    const answer = await service.gateway(way.endpoint.method, target, {
      token: raider.client.token,
      ...(body === undefined ? {} : { body }),
    });
    trace.push(`raider: ${asked} → ${answer.status} ${answer.raw.toString().slice(0, 200)}`);
    nothingTold(scene, answer, asked);
    if (answer.status !== 200) return answer;
    this.done.set(way.name, (this.done.get(way.name) ?? 0) + 1);
    const room = homeserver.rooms.get(chosen.params.get("roomId") ?? "");
    // Reads name events, too, which are others'.
    if (room !== undefined && way.endpoint.method === "PUT") truth.sent("raider", room, answer);
    const user = bodyText(body, "user_id");
    if (room !== undefined && /\/(?:invite|kick|ban|unban)$/.test(way.path)) truth.asked(room, user);
    const made = stringAt(answer.body, way.path.endsWith("/upgrade") ? "replacement_room" : "room_id") ?? "";
    const madeRoom = /\/(?:createRoom|upgrade)$/.test(way.path) ? homeserver.rooms.get(made) : undefined;
    if (madeRoom !== undefined) truth.madeFor(madeRoom, "raider");
    return answer;
  }
}

function bodyText(body: unknown, key: string): string {
  const value: unknown = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[key] : null;
  return typeof value === "string" ? value : "";
}

function drawn(way: Way, scene: Scene, dice: Dice): Drawn {
  const { own, hosts, others } = usersOf(scene);
  const user = dice.among([60, [own[0] ?? ""]], [30, own], [5, hosts], [3, others]);
  const params = new Map<string, string>();
  const chosen = { user, params };
  const path = way.path.replace(/:(\w+)/g, (_, name: string) => {
    const value = poolFor(name)(scene, dice, chosen);
    params.set(name, value);
    return encodeURIComponent(value);
  });
  const query = queryFor(way, scene, dice, chosen);
  const hasBody = way.endpoint.method === "PUT" || way.endpoint.method === "POST";
  return {
    way,
    target: `${path}${query === "" ? "" : "?"}${query}`,
    body: hasBody ? bodyFor(way.path, scene, dice, chosen) : undefined,
    chosen,
  };
}

/** Whom it is made as, what the specification has for reads, and what it does not have. */
function queryFor({ endpoint, path }: Way, scene: Scene, dice: Dice, { user }: Chosen): string {
  const { raider, rooms } = scene;
  const pairs: [string, string][] = user === raider.client.sender && dice.chance(0.7) ? [] : [["user_id", user]];
  if (path.endsWith("/register/available")) pairs.push(["username", dice.pick(["_raider_free", "_host_ghost", "x"])]);
  if (endpoint.method === "GET" && dice.chance(0.2)) {
    const reads: readonly [string, string][] = [
      ["limit", "100"],
      ["dir", "b"],
      ["format", "event"],
      ["membership", "join"],
      ["from", "s1"],
      ["ts", "0"],
      ["since", "e1_1"],
    ];
    pairs.push(dice.pick(reads));
  }
  if (dice.chance(0.12)) {
    const odd: readonly [string, string][] = [
      ["user_id", scene.host.client.sender],
      ["access_token", scene.host.client.sender],
      ["via", "evil.test"],
      ["server_name", "elsewhere.test"],
      ["ts", "1"],
      ["filter", JSON.stringify({ rooms: [rooms.secret.id] })],
      ["org.matrix.msc4140.delay", "1000"],
      ["room_id", dice.pick(roomsOf(scene).closed)],
      ["kind", "guest"],
    ];
    pairs.push(dice.pick(odd));
  }
  return new URLSearchParams(pairs).toString();
}
