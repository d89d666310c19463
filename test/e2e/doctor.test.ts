import { createServer } from "node:http";
import { chmodSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import { ensureSynapse } from "../../homeservers/synapse/environment.ts";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import { Synapse } from "../../homeservers/synapse/synapse.ts";
import type { Finding } from "../../src/cli/doctor/context.ts";
import { Emissary } from "../support/emissary.ts";

/**
 * One Synapse is enough, with more registrations than the pair of a stage can be given: each fault in what a homeserver has
 * loaded is there from its start, because a restart for each would take minutes.
 */
let dir: string;
let synapse: Synapse;
let emissary: Emissary;
/** Its pseudouser is in the namespace of a greedy appservice, too. */
let crowded: Emissary;
/** Synapse has loaded its registration without an address. */
let mute: Emissary;
/** Synapse has never heard of it. */
let unloaded: Emissary;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "emissary-doctor-"));
  const python = process.env["EMISSARY_SYNAPSE_PYTHON"] ?? (await ensureSynapse()).python;
  const [clientPort = 0, federationPort = 0] = await freePorts(2);
  const serverName = `localhost:${federationPort}`;
  const register = async (name: string, localpart?: string): Promise<Emissary> => {
    await mkdir(join(dir, name));
    return Emissary.register({
      dir: join(dir, name),
      homeserverUrl: `http://127.0.0.1:${clientPort}`,
      serverName,
      ...(localpart === undefined ? {} : { localpart }),
    });
  };
  emissary = await register("emissary");
  crowded = await register("crowded", "_crowded");
  edit(crowded.registrationPath, { id: "crowded", sender_localpart: "_crowded_sender" });
  mute = await register("mute", "_mute");
  edit(mute.registrationPath, { id: "mute", sender_localpart: "_mute_sender" });
  unloaded = await register("unloaded");
  const registrations = [
    emissary.registrationPath,
    crowded.registrationPath,
    loadedAs(mute, { url: null }),
    loadedAs(crowded, {
      id: "greedy",
      as_token: "token-of-the-greedy-one",
      sender_localpart: "_greedy_sender",
      namespaces: { users: [{ exclusive: true, regex: "@_crow.*" }] },
    }),
  ];
  synapse = await Synapse.start({
    python,
    dir: join(dir, "synapse"),
    serverName,
    clientPort,
    federationPort,
    registrations,
  });
  await emissary.start();
});

afterAll(async () => {
  await emissary.end();
  await synapse.stop();
  await rm(dir, { recursive: true, force: true });
});

type Yaml = Record<string, unknown>;

function edit(path: string, values: Yaml): void {
  writeFileSync(path, stringify({ ...(parse(readFileSync(path, "utf8")) as Yaml), ...values }));
}

/** A copy of a registration with other values, for Synapse to load. */
function loadedAs(of: Emissary, values: Yaml): string {
  const path = join(of.dir, `loaded-as-${Object.keys(values)[0] ?? ""}.yaml`);
  writeFileSync(path, stringify({ ...(parse(readFileSync(of.registrationPath, "utf8")) as Yaml), ...values }));
  return path;
}

/** A second folder with the same files, where something can be changed without the daemon's knowing. */
function copyOf(
  of: Emissary,
  name: string,
  { registration = {}, config = {} }: { registration?: Yaml; config?: Yaml },
) {
  const copy = join(dir, name);
  cpSync(of.dir, copy, { recursive: true });
  edit(join(copy, "registration.yaml"), registration);
  edit(join(copy, "emissary.yaml"), config);
  return copy;
}

interface Diagnosis {
  readonly exitCode: number;
  /** What is not well, by check. */
  readonly problems: Readonly<Record<string, string>>;
  readonly of: (check: string) => string;
}

async function doctor(folder: string): Promise<Diagnosis> {
  const { exitCode, stdout, stderr } = await emissary.runBare([
    "doctor",
    "--json",
    "--config",
    join(folder, "emissary.yaml"),
  ]);
  if (stdout === "") throw new Error(stderr);
  // How full the disk of the machine is that the tests run on is not ours to judge.
  const findings = (JSON.parse(stdout) as Finding[]).filter(({ check }) => check !== "disk");
  const { as_token: asToken = "", hs_token: hsToken = "" } = parse(
    readFileSync(join(folder, "registration.yaml"), "utf8"),
  ) as Record<string, string>;
  expect(stdout).not.toContain(asToken);
  expect(stdout).not.toContain(hsToken);
  return {
    exitCode,
    problems: Object.fromEntries(
      findings.filter(({ level }) => level !== "ok").map(({ check, level }) => [check, level]),
    ),
    of: (check) => {
      const found = findings.find((finding) => finding.check === check);
      return `${found?.what ?? ""} ${found?.why ?? ""} ${found?.do ?? ""}`;
    },
  };
}

describe("with everything in order", () => {
  it("finds all well, and says so in one line a check", async () => {
    expect(await doctor(emissary.dir)).toMatchObject({ exitCode: 0, problems: {} });
    const { stdout, stderr } = await emissary.run("doctor");
    expect(stdout.trimEnd().split("\n")).toHaveLength(19);
    expect(stdout).toMatch(/^ok {7}address +the homeserver reaches us in \d+ ms$/m);
    expect(stderr).toMatch(/19 ok|1 warning, 18 ok/);
  });
});

describe("of what lies in the folder", () => {
  it("finds files that others may read, and goes on", async () => {
    chmodSync(emissary.registrationPath, 0o644);
    const diagnosis = await doctor(emissary.dir);
    chmodSync(emissary.registrationPath, 0o600);
    expect(diagnosis).toMatchObject({ exitCode: 0, problems: { "file-modes": "warning" } });
    expect(diagnosis.of("file-modes")).toContain(`chmod 600 ${emissary.registrationPath}`);
  });

  it("finds a registration that lets the homeserver limit us", async () => {
    const copy = copyOf(emissary, "limited", { registration: { rate_limited: true } });
    expect((await doctor(copy)).problems).toMatchObject({ "rate-limits": "warning" });
  });
});

describe("of what the homeserver has loaded", () => {
  it("finds another as_token", async () => {
    const copy = copyOf(emissary, "as-token", { registration: { as_token: "another-as-token" } });
    const diagnosis = await doctor(copy);
    expect(diagnosis).toMatchObject({
      exitCode: 1,
      problems: { registration: "failure", namespace: "skipped", pseudouser: "skipped", address: "skipped" },
    });
    expect(diagnosis.of("registration")).toContain("M_UNKNOWN_TOKEN");
  });

  it("finds that it has not loaded the registration at all", async () => {
    expect((await doctor(unloaded.dir)).problems).toMatchObject({ registration: "failure", daemon: "failure" });
  });

  it("finds that the pseudouser was given another name since", async () => {
    const copy = copyOf(emissary, "renamed", {
      registration: { namespaces: { users: [{ exclusive: true, regex: "@_other:.*" }] } },
      config: { pseudouser: { localpart: "_other" } },
    });
    const diagnosis = await doctor(copy);
    expect(diagnosis.problems).toMatchObject({ namespace: "failure", pseudouser: "skipped", instances: "failure" });
    expect(diagnosis.of("namespace")).toContain("M_EXCLUSIVE");
  });

  it("finds that users were reserved since, until it has loaded them", async () => {
    const { namespaces } = parse(readFileSync(emissary.registrationPath, "utf8")) as { namespaces: { users: Yaml[] } };
    const irc = { exclusive: true, regex: `@_irc_.*:${synapse.serverName}` };
    const copy = copyOf(emissary, "reserved", {
      registration: { namespaces: { ...namespaces, users: [...namespaces.users, irc] } },
    });
    const diagnosis = await doctor(copy);
    expect(diagnosis).toMatchObject({ exitCode: 1, problems: { "reserved-namespaces": "failure" } });
    expect(diagnosis.of("reserved-namespaces")).toContain("@_irc_");
  });

  it("finds that another appservice reserves the pseudouser as well", async () => {
    const diagnosis = await doctor(crowded.dir);
    expect(diagnosis.problems).toMatchObject({ namespace: "failure" });
    expect(diagnosis.of("namespace")).toContain("is reserved by another appservice too");
  });

  it("finds that it knows us by another name of the server", async () => {
    const copy = copyOf(emissary, "elsewhere", {
      registration: { namespaces: { users: [{ exclusive: true, regex: "@:example.org" }] } },
      config: { homeserver: { url: synapse.url, server_name: "example.org" } },
    });
    const diagnosis = await doctor(copy);
    expect(diagnosis.of("registration")).toContain(`“@_emissary:${synapse.serverName}”`);
  });

  it("finds another ID", async () => {
    const copy = copyOf(emissary, "renumbered", { registration: { id: "another-id" } });
    const diagnosis = await doctor(copy);
    expect(diagnosis.problems).toMatchObject({ address: "failure" });
    expect(diagnosis.of("address")).toContain("another-id");
  });

  it("finds that it has no address for us", async () => {
    await somethingElseListens(mute);
    const diagnosis = await doctor(mute.dir);
    expect(diagnosis.problems).toMatchObject({ address: "failure" });
    expect(diagnosis.of("address")).toContain("M_URL_NOT_SET");
  });

  it("finds that another program has our address", async () => {
    await somethingElseListens(crowded);
    const diagnosis = await doctor(crowded.dir);
    expect(diagnosis.problems).toMatchObject({ address: "failure" });
    expect(diagnosis.of("address")).toMatch(/M_BAD_STATUS.*404.*Another program/);
  });
});

/** Something that is no Emissary at the address where this one would listen. */
async function somethingElseListens({ dir: folder }: Emissary): Promise<void> {
  const config = parse(readFileSync(join(folder, "emissary.yaml"), "utf8")) as { appservice: { listen: string } };
  const server = createServer((_request, response) => response.writeHead(404).end("nothing of the kind"));
  await new Promise<void>((resolve) => server.listen(Number(config.appservice.listen.split(":")[1]), resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

describe("of the daemon and the way to it", () => {
  afterEach(async () => {
    await emissary.end();
    await emissary.start();
  });

  it("finds that it was started with another hs_token than the homeserver has", async () => {
    const before = readFileSync(emissary.registrationPath, "utf8");
    edit(emissary.registrationPath, { hs_token: "another-hs-token" });
    const unaware = await doctor(emissary.dir);
    await emissary.end();
    await emissary.start();
    const diagnosis = await doctor(emissary.dir);
    writeFileSync(emissary.registrationPath, before);
    // Until it is restarted the daemon agrees with the homeserver, and all goes well.
    expect(unaware).toMatchObject({ exitCode: 0, problems: { address: "warning" } });
    expect(diagnosis).toMatchObject({ exitCode: 1, problems: { address: "failure" } });
    expect(diagnosis.of("address")).toMatch(/M_BAD_STATUS.*403.*another hs_token/);
  });

  it("finds that the address leads nowhere", async () => {
    const [elsewhere = 0] = await freePorts(1);
    const { appservice } = parse(readFileSync(join(emissary.dir, "emissary.yaml"), "utf8")) as {
      appservice: { listen: string };
    };
    emissary.configure({ appservice: { listen: `127.0.0.1:${elsewhere}` } });
    await emissary.end();
    await emissary.start();
    const diagnosis = await doctor(emissary.dir);
    emissary.configure({ appservice: { listen: appservice.listen } });
    expect(diagnosis).toMatchObject({ exitCode: 1, problems: { address: "failure" } });
    expect(diagnosis.of("address")).toMatch(/M_CONNECTION_FAILED.*Emissary listens/);
  });

  it("finds that it does not run, and looks at what can be seen without it", async () => {
    await emissary.end();
    expect(await doctor(emissary.dir)).toMatchObject({
      exitCode: 1,
      problems: { daemon: "failure", address: "skipped", delivery: "skipped" },
    });
  });

  it("finds that one runs which this configuration does not lead to", async () => {
    const [elsewhere = 0] = await freePorts(1);
    const { admin } = parse(readFileSync(join(emissary.dir, "emissary.yaml"), "utf8")) as { admin: { listen: string } };
    emissary.configure({ admin: { listen: `127.0.0.1:${elsewhere}` } });
    const diagnosis = await doctor(emissary.dir);
    emissary.configure({ admin: { listen: admin.listen } });
    expect(diagnosis.problems).toMatchObject({ daemon: "failure", instances: "failure" });
    expect(diagnosis.of("instances")).toContain(`process ${emissary.pid}`);
  });
});

describe("of a second Emissary with the same registration", () => {
  let twin: Emissary;

  beforeAll(async () => {
    const folder = join(dir, "twin");
    await mkdir(folder);
    twin = await Emissary.register({ dir: folder, homeserverUrl: synapse.url, serverName: synapse.serverName });
    cpSync(emissary.registrationPath, twin.registrationPath);
    const { url } = parse(readFileSync(emissary.registrationPath, "utf8")) as { url: string };
    twin.configure({ appservice: { url } });
    await twin.start();
  });
  afterAll(() => twin.end());

  it("finds it from the one that the homeserver does not reach, whose own database and address look well", async () => {
    const diagnosis = await doctor(twin.dir);
    expect(diagnosis).toMatchObject({ exitCode: 1, problems: { instances: "failure", address: "skipped" } });
    expect(Object.keys(diagnosis.problems)).toHaveLength(2);
    expect(diagnosis.of("instances")).toMatch(/not by this daemon.*has the same registration.*Stop the other one/);
    const { last_ping: seen } = await emissary.json<{ last_ping: { transaction_id: string } | null }>("status");
    expect(seen?.transaction_id).toMatch(/^[\w-]{22}$/);
  });

  it("finds nothing from the one that is reached", async () => {
    expect(await doctor(emissary.dir)).toMatchObject({ exitCode: 0, problems: {} });
  });
});

describe("of a homeserver that is down", () => {
  it("finds just that", async () => {
    await synapse.stop();
    const diagnosis = await doctor(emissary.dir);
    expect(diagnosis).toMatchObject({
      exitCode: 1,
      problems: { homeserver: "failure", registration: "skipped", namespace: "skipped", address: "skipped" },
    });
    expect(diagnosis.of("homeserver")).toContain("nothing listens there");
  });
});
