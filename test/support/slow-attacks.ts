import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { each, numbers, pause, type Target } from "./lures.ts";
import { halfSent, head, Slow } from "./slow.ts";

export interface SlowAttack {
  readonly what: string;
  /** Begins it. It goes on until the test ends. */
  readonly begin: (target: Target, slow: Slow) => Promise<void>;
}

const V3 = "/_matrix/client/v3";
const MIB = 2 ** 20;

/** An endpoint's path with names that mean something to nobody. */
function sample(path: string): string {
  return path.replace(/:(\w+)/g, (_all, name: string) =>
    encodeURIComponent(name === "roomId" ? "!none:evil.test" : name === "userId" ? "@_emissary_evil:hs.test" : "x"),
  );
}

/** Every way in which a tenant can send a body. */
export const BODIES: readonly (readonly [method: string, path: string])[] = ENDPOINTS.filter(
  ({ method }) => method === "PUT" || method === "POST",
).map(({ method, path, under }) => [method, `${under?.[0] ?? V3}${sample(path)}`]);

async function evilTenant(target: Target): Promise<{ readonly token: string; readonly roomId: string }> {
  const token = await target.daemon.tenant("evil");
  const room = target.room({ id: "!evil:evil.test", creator: "@c:evil.test" });
  await target.join(token, room.id);
  return { token, roomId: room.id };
}

export const SLOW_ATTACKS: readonly SlowAttack[] = [
  {
    what: "200 half-sent uploads of one tenant",
    begin: async (target, slow) => {
      const { token } = await evilTenant(target);
      await slow.many(200, () => halfSent("POST", "/_matrix/media/v3/upload", token));
    },
  },
  {
    what: "200 downloads of one tenant that it does not read",
    begin: async (target, slow) => {
      const { token, roomId } = await evilTenant(target);
      const path = `${V3}/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=${64 * MIB}`;
      await slow.many(200, () => head("GET", path, token));
    },
  },
  {
    what: "400 half-sent bodies of one tenant, to every endpoint that takes one",
    begin: async (target, slow) => {
      const { token } = await evilTenant(target);
      await slow.many(400, (nr) => {
        const [method, path] = BODIES[nr % BODIES.length]!;
        return halfSent(method, path, token);
      });
    },
  },
  {
    what: "200 syncs of one tenant without since that it does not read",
    begin: async (target, slow) => {
      const { token } = await evilTenant(target);
      for (const nr of numbers(4)) {
        const room = target.room({ id: `!large${nr}:evil.test`, creator: "@c:evil.test" });
        for (const key of numbers(60)) {
          room.append("org.evil.large", "@c:evil.test", { filling: "x".repeat(60_000) }, `key ${key}`);
        }
        await target.join(token, room.id);
      }
      await slow.many(200, () => head("GET", `${V3}/sync`, token));
    },
  },
  {
    what: "500 look-ups by strangers of aliases on servers that never answer",
    begin: async (target, slow) => {
      target.homeserver.fault("GET", /\/directory\/room\/.*silent/, "hang", 1e9);
      await slow.many(500, (nr) => head("GET", `${V3}/directory/room/%23a${nr}%3Asilent${nr}.test`, null));
    },
  },
  {
    what: "300 joins of one tenant by aliases on servers that never answer",
    begin: async (target, slow) => {
      const { token } = await evilTenant(target);
      target.homeserver.fault("GET", /\/directory\/room\/.*silent/, "hang", 1e9);
      await slow.many(
        300,
        (nr) => `${head("POST", `${V3}/join/%23a${nr}%3Asilent${nr}.test`, token, ["content-length: 2"])}{}`,
      );
    },
  },
  {
    what: "joins of one tenant into as many silent rooms as it gets",
    begin: async (target, slow) => {
      const { token } = await evilTenant(target);
      target.homeserver.fault("POST", /\/join\/.*silent/, "hang", 1e9);
      await slow.many(400, (nr) => {
        const room = target.room({ id: `!silent${nr}:silent${nr}.test`, creator: `@c:silent${nr}.test` });
        const path = `${V3}/join/${encodeURIComponent(room.id)}?via=silent${nr}.test`;
        return `${head("POST", path, token, ["content-length: 2"])}{}`;
      });
    },
  },
  {
    what: "a flood of tokens that nobody has",
    begin: async (_target, slow) => {
      await slow.many(1_000, (nr) => head("GET", `${V3}/rooms/!x%3Aevil.test/messages`, `nobody-${nr}`));
    },
  },
  {
    what: "300 answers of a user's looks that it does not read",
    begin: async (target, slow) => {
      const token = target.user("evil");
      const room = target.room({ id: "!wide:evil.test", creator: "@c:evil.test" });
      for (const key of numbers(100)) {
        room.append("org.evil.large", "@c:evil.test", { filling: "x".repeat(60_000) }, `key ${key}`);
      }
      await target.peek(room.id, token);
      await slow.many(300, () => head("GET", `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync`, token));
    },
  },
  {
    what: "6,000 connections whose headers never end",
    begin: async (_target, slow) => {
      await slow.many(6_000, (nr) => `GET / HTTP/1.1\r\nhost: h\r\nx-more-${nr}: `);
    },
  },
  {
    what: "requests of a tenant whose caller goes away at once, again and again",
    begin: async (target) => {
      const { token, roomId } = await evilTenant(target);
      const path = `${V3}/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=${64 * MIB}`;
      const again = new Slow(target.gatewayPort);
      await each(numbers(300), 20, async () => {
        const socket = await again.send(head("GET", path, token));
        await pause(10);
        socket.destroy();
      });
    },
  },
];
