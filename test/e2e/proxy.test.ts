/**
 * The homeserver's public address, as an operator sets it up: a real nginx or Caddy with the files of packaging/proxy before a real
 * Synapse and Emissary. Clients know this address alone.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { filled } from "../../src/cli/doctor/public.ts";
import type { Finding } from "../../src/cli/doctor/context.ts";
import { MARK } from "../../src/http/door/door.ts";
import { proxiedRoutes } from "../../src/peek/proxied.ts";
import { peekScenario } from "../support/peek-scenario.ts";
import { findProxies, Proxy, type Before } from "../support/proxy.ts";
import { ask } from "../support/service-app.ts";
import { openStage, type Stage } from "../support/stage.ts";

const { here, missing } = await findProxies();
let stage: Stage;
let alice: MatrixUser;

beforeAll(async () => {
  if (here.length === 0) return;
  stage = await openStage({ settings: { peek: { idle: "10s" } } });
  alice = await stage.user(stage.ours, "alice");
});
afterAll(async () => {
  if (here.length > 0) await stage.close();
});

interface Diagnosis {
  readonly exitCode: number;
  readonly finding: Finding;
}

async function doctor(publicUrl: string): Promise<Diagnosis> {
  const { exitCode, stdout } = await stage.emissary.run("doctor", "--json", "--public-url", publicUrl);
  const finding = (JSON.parse(stdout) as Finding[]).find(({ check }) => check === "public-url");
  if (finding === undefined) throw new Error(`no finding: ${stdout}`);
  return { exitCode, finding };
}

function before(edit?: Before["edit"]): Before {
  return {
    gateway: new URL(stage.emissary.gatewayUrl).host,
    homeserver: new URL(stage.ours.url).host,
    ...(edit === undefined ? {} : { edit }),
  };
}

describe.each(here)("$name", (kind) => {
  let proxy: Proxy;

  const startProxy = (edit?: Before["edit"]): Promise<Proxy> => Proxy.start(kind, before(edit));
  /** Whether the gateway answered, and what. */
  const asked = async (method: string, path: string, body?: unknown) => {
    const token = alice.accessToken;
    const answer = await ask(proxy.port, method, path, { token, ...(body === undefined ? {} : { body }) });
    return { ...answer, byGateway: answer.headers[MARK.name] === MARK.value };
  };

  beforeAll(async () => {
    proxy = await startProxy();
  });
  afterAll(() => proxy.end());

  it("has every path of the table answered by the gateway, also before anybody has logged in", async () => {
    const paths = proxiedRoutes().flatMap(({ methods, path, under }) =>
      methods.flatMap((method) => under.map((prefix) => `${method} ${prefix}${filled(path, stage.ours.serverName)}`)),
    );
    const answered = await Promise.all(
      paths.map(async (line) => {
        const [method = "", path = ""] = line.split(" ");
        const { headers } = await ask(proxy.port, method, path, method === "POST" ? { body: {} } : {});
        return headers[MARK.name] === MARK.value ? line : null;
      }),
    );
    expect(answered).toEqual(paths);
  });

  it("has everything else answered by the homeserver: users do what they always did", async () => {
    const whoami = await asked("GET", "/_matrix/client/v3/account/whoami");
    expect([whoami.byGateway, whoami.body["user_id"]]).toEqual([false, alice.userId]);
    const roomId = await alice.createRoom({});
    const renamed = await asked("PUT", `/_matrix/client/v3/rooms/${roomId}/state/m.room.name/`, { name: "new" });
    expect([renamed.byGateway, renamed.status]).toEqual([false, 200]);
    const uploaded = await asked("POST", "/_matrix/media/v3/upload?filename=a", Buffer.alloc(4 * 1024 * 1024));
    expect([uploaded.byGateway, uploaded.status]).toEqual([false, 200]);
  });

  it("lets browsers ask from anywhere", async () => {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent("!a:b")}/initialSync`;
    const asking = { headers: { origin: "https://app.example", "access-control-request-method": "GET" } };
    const answer = await ask(proxy.port, "OPTIONS", path, asking);
    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([204, "*"]);
    const { headers } = await ask(proxy.port, "GET", path, asking);
    expect(headers["access-control-allow-origin"]).toBe("*");
  });

  it("brings room aliases through whole, whatever is in them", async () => {
    const name = `a/b?c%d#e+fä€🐘..//;=&|[]-${kind.name}`;
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name: name, name: "Odd" });
    const alias = `#${name}:${stage.ours.serverName}`;
    const found = await asked("GET", `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`);
    expect([found.byGateway, found.body["room_id"]]).toEqual([true, roomId]);
    // By its alias where clients name an ID: the gateway looks it up, so it has to have it as it is.
    const state = await asked("GET", `/_matrix/client/v3/rooms/${encodeURIComponent(alias)}/state/m.room.name/`);
    expect([state.byGateway, state.body]).toEqual([true, { name: "Odd" }]);
  });

  it("brings state keys through whole", async () => {
    const roomId = await alice.createRoom({});
    const key = "a/b?c%d#e+f ä€..//";
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/org.example.t/${encodeURIComponent(key)}`;
    expect((await asked("PUT", path, { odd: true })).byGateway).toBe(false);
    const read = await asked("GET", path);
    expect([read.byGateway, read.body]).toEqual([true, { odd: true }]);
    const state = await alice.request("GET", `/_matrix/client/v3/rooms/${roomId}/state`);
    expect(JSON.stringify(state.body)).toContain(`"state_key":${JSON.stringify(key)}`);
  });

  it("lets a sync wait for news", async () => {
    const first = await asked("GET", "/_matrix/client/v3/sync?timeout=0");
    const since = encodeURIComponent(first.body["next_batch"] as string);
    const second = await asked("GET", `/_matrix/client/v3/sync?timeout=2000&since=${since}`);
    expect([second.byGateway, second.status, typeof second.body["next_batch"]]).toEqual([true, 200, "string"]);
  });

  it("is well by the doctor's word, and by it alone where a line is missing", async () => {
    expect(await doctor(proxy.url)).toMatchObject({ finding: { level: "ok", check: "public-url" } });
    const lacking = await startProxy((text) =>
      text
        .split("\n")
        .filter((line) => !line.includes("initialSync"))
        .join("\n"),
    );
    const { exitCode, finding } = await doctor(lacking.url);
    await lacking.end();
    expect([exitCode, finding.level]).toEqual([1, "failure"]);
    expect(finding.what).toBe(
      [
        `The proxy at ${lacking.url} does not send the gateway:`,
        "  GET /_matrix/client/v3/rooms/…/initialSync",
        "  GET /_matrix/client/r0/rooms/…/initialSync",
        "  GET /_matrix/client/api/v1/rooms/…/initialSync",
        "  GET /_matrix/client/unstable/rooms/…/initialSync",
      ].join("\n"),
    );
  });

  it("is found by the doctor to have the wrong address for the gateway", async () => {
    const wrong = await Proxy.start(kind, { gateway: "127.0.0.1:1", homeserver: new URL(stage.ours.url).host });
    const { finding } = await doctor(wrong.url);
    await wrong.end();
    expect([finding.level, finding.what]).toEqual(["failure", expect.stringContaining("502")]);
  });
});

// At once, since all wait for their leases to end.
describe.concurrent("an unmodified matrix-js-sdk", () => {
  it.each(here.flatMap((kind) => ["12", "10"].map((version) => ({ name: kind.name, kind, version }))))(
    "looks by $name into a room of another server, version $version",
    async ({ kind, version }) => {
      const proxy = await Proxy.start(kind, before());
      try {
        await peekScenario(proxy.url, stage, version);
      } finally {
        await proxy.end();
      }
    },
  );
});

describe.runIf(here.length > 0)("no proxy at all", () => {
  it("is what the doctor finds at the homeserver's own address", async () => {
    const { finding } = await doctor(stage.ours.url);
    expect([finding.level, finding.what]).toEqual(["failure", expect.stringContaining("sends nothing to the gateway")]);
  });

  it("and a certificate that nobody vouches for is named", async () => {
    const { finding } = await doctor(`https://${stage.ours.serverName}`);
    expect([finding.level, finding.why]).toEqual(["failure", expect.stringContaining("certificate")]);
  });
});

describe.each(missing)("$name, which is not here: $why", ({ why }) => {
  it.skipIf(process.env["CI"] !== "true")("is left out", () => expect.fail(why));
});
