import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { FakeRoom } from "./fake-homeserver-rooms.ts";
import { each, numbers, pause, type Target } from "./lures.ts";

/** What bystanders do beside an attack: another tenant sends and joins, and a user looks into a room. */
export const BYSTANDING = ["send", "join", "peek"] as const;
export type Bystanding = (typeof BYSTANDING)[number];

export interface Measured {
  readonly usual: Readonly<Record<Bystanding, number>>;
  readonly during: Readonly<Record<Bystanding, number>>;
  /** Statuses that were not 200, with who had them. */
  readonly refused: readonly string[];
}

/** A tenant and users that have nothing to do with an attack. */
export class Bystanders {
  readonly #target: Target;
  readonly #token: string;
  readonly #room: FakeRoom;
  readonly #refused: string[] = [];
  #count = 0;

  private constructor(target: Target, token: string, room: FakeRoom) {
    this.#target = target;
    this.#token = token;
    this.#room = room;
  }

  static async enter(target: Target): Promise<Bystanders> {
    const token = await target.daemon.tenant("neighbour");
    const room = target.room({ id: "!neighbours:ordinary-0.test", creator: "@c:ordinary-0.test" });
    await target.join(token, room.id);
    return new Bystanders(target, token, room);
  }

  /** Medians of what they do before an attack, and while it goes on. */
  async measure(attack: () => Promise<void>, rounds: number): Promise<Measured> {
    await this.#rounds(Math.ceil(rounds / 2));
    const usual = await this.#rounds(rounds);
    await attack();
    const during = await this.#rounds(rounds);
    return { usual, during, refused: this.#refused };
  }

  async #rounds(rounds: number): Promise<Record<Bystanding, number>> {
    const times: Record<Bystanding, number[]> = { send: [], join: [], peek: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const what of BYSTANDING) {
        const begun = performance.now();
        const status = await this.#do(what);
        times[what].push(performance.now() - begun);
        if (status !== 200) this.#refused.push(`${what} ${status}`);
      }
      await pause(5);
    }
    const median = (all: number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
    return { send: median(times.send), join: median(times.join), peek: median(times.peek) };
  }

  async #do(what: Bystanding): Promise<number> {
    const nr = (this.#count += 1);
    const late = pause(20_000).then(() => ({ status: 0 }));
    switch (what) {
      case "send":
        return (await Promise.race([this.#target.say(this.#token, this.#room.id, `n${nr}`), late])).status;
      // A join of one of its users where it is: of a new room the pace of joins is what would be measured.
      case "join":
        return (await Promise.race([this.#target.join(this.#token, this.#room.id), late])).status;
      case "peek": {
        const token = this.#target.user(`bystander-${nr % 20}`);
        return (await Promise.race([this.#target.peek(this.#room.id, token, "ordinary-0.test"), late]))?.status ?? 0;
      }
    }
  }
}

export function printed(what: string, { usual, during }: Measured, memory: number): string {
  const ratios = BYSTANDING.map((one) => {
    const ratio = (during[one] / usual[one]).toFixed(2);
    return `${one} ${usual[one].toFixed(1)} → ${during[one].toFixed(1)} ms (× ${ratio})`;
  });
  return `${what}: ${ratios.join(", ")}; memory ${(memory / 2 ** 20).toFixed(0)} MiB\n`;
}

/** Whoever attacks, over raw connections: what a program of good manners would not do. */
export class Slow {
  readonly #port: number;
  readonly #sockets: Socket[] = [];

  constructor(port: number) {
    this.#port = port;
    onTestFinished(() => this.end());
  }

  /** Sends so much of a request, reads nothing of an answer, and stays. */
  async send(head: string): Promise<Socket> {
    const socket = connect(this.#port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    this.#sockets.push(socket);
    socket.write(head);
    await new Promise<void>((resolve) => {
      socket.once("connect", resolve);
      socket.once("close", () => resolve());
    });
    return socket;
  }

  /** The same many times. */
  async many(times: number, head: (nr: number) => string): Promise<void> {
    await each(numbers(times), 50, (nr) => this.send(head(nr)));
    await pause(300);
  }

  /** Connections that are still open. */
  get open(): number {
    return this.#sockets.filter((socket) => !socket.destroyed).length;
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The head of a request, and what of its body is sent. */
export function head(method: string, target: string, token: string | null, more: readonly string[] = []): string {
  const lines = [`${method} ${target} HTTP/1.1`, "host: emissary.test", ...more];
  if (token !== null) lines.push(`authorization: Bearer ${token}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** A body that is announced and whose first bytes alone are sent. */
export function halfSent(method: string, target: string, token: string | null): string {
  return `${head(method, target, token, ["content-type: application/json", "content-length: 10000"])}{"half":`;
}
