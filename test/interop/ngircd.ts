/** A real IRC server on loopback, and people on it. */
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import { ensureDebianProgram, type DebianProgram } from "../support/debian-program.ts";
import { Program } from "./process.ts";

const CONNECT_MS = 10_000;
/** What people see of each other. */
const SEEN = new Set(["PRIVMSG", "NOTICE", "JOIN", "PART", "KICK", "NICK", "QUIT", "TOPIC", "MODE", "INVITE"]);

export function findNgircd(): Promise<DebianProgram> {
  return ensureDebianProgram({
    name: "ngircd",
    file: "usr/sbin/ngircd",
    trial: ["--version"],
    libraries: ["libident"],
  });
}

export class Ngircd {
  readonly port: number;
  readonly #program: Program;

  private constructor(port: number, program: Program) {
    this.port = port;
    this.#program = program;
  }

  static async start(
    found: { readonly binary: string; readonly env: NodeJS.ProcessEnv },
    dir: string,
  ): Promise<Ngircd> {
    const [port = 0] = await freePorts(1);
    const file = path.join(dir, "ngircd.conf");
    const section = (name: string, values: Readonly<Record<string, string>>): string[] => [
      `[${name}]`,
      ...Object.entries(values).map(([key, value]) => `${key} = ${value}`),
    ];
    const lines = [
      ...section("Global", {
        Name: "irc.test",
        Info: "A test",
        Listen: "127.0.0.1",
        Ports: String(port),
        MotdPhrase: "welcome",
      }),
      // It counts seconds against those who write fast, and all of them come from one address.
      ...section("Limits", { MaxConnectionsIP: "0", MaxJoins: "0", MaxPenaltyTime: "0" }),
      ...section("Options", { DNS: "no", Ident: "no", PAM: "no", IncludeDir: dir }),
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    const command = [found.binary, "--nodaemon", "--config", file];
    const program = new Program({ command, env: found.env, ready: /Now listening on|ready/i });
    await program.start();
    return new Ngircd(port, program);
  }

  async stop(): Promise<void> {
    await this.#program.end();
  }
}

/** Somebody on IRC, who writes down what comes. */
export class IrcPerson {
  readonly seen: string[] = [];
  readonly #socket: Socket;
  readonly #onSeen: (line: string) => void;
  #welcomed = false;
  #rest = "";

  private constructor(socket: Socket, onSeen: (line: string) => void) {
    this.#socket = socket;
    this.#onSeen = onSeen;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      const lines = (this.#rest + text).split("\r\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    });
    socket.on("error", () => undefined);
  }

  static async connect(
    port: number,
    nick: string,
    onSeen: (line: string) => void = () => undefined,
  ): Promise<IrcPerson> {
    const person = new IrcPerson(connect(port, "127.0.0.1"), onSeen);
    person.say(`NICK ${nick}`);
    person.say(`USER ${nick} 0 * :${nick}`);
    const deadline = Date.now() + CONNECT_MS;
    while (!person.#welcomed) {
      if (Date.now() > deadline) throw new Error(`${nick} does not get in to ngircd`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return person;
  }

  /** A line of the protocol. */
  say(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  end(): void {
    this.#socket.destroy();
  }

  #take(line: string): void {
    if (line.startsWith("PING")) this.say(line.replace("PING", "PONG"));
    const [, source = "", command = "", rest = ""] = /^(?::(\S+) )?(\S+) ?(.*)$/.exec(line) ?? [];
    if (command === "001") this.#welcomed = true;
    if (!SEEN.has(command)) return;
    const seen = `${source.split("!", 1)[0] ?? ""} ${command} ${rest}`;
    this.seen.push(seen);
    this.#onSeen(seen);
  }
}
