import { Agent, request } from "node:http";
import { HS_TOKEN } from "./homeserver.ts";
import type { Subject } from "./subject.ts";
import type { Transaction } from "./transactions.ts";

/** Sends as a homeserver does: one transaction in flight, over one connection that is kept. */
export class Sender {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #subject: Pick<Subject, "name" | "port">;

  constructor(subject: Pick<Subject, "name" | "port">) {
    this.#subject = subject;
  }

  /** @returns how long each took, milliseconds. */
  async send(transactions: readonly Transaction[]): Promise<number[]> {
    const times: number[] = [];
    for (const transaction of transactions) {
      const begun = performance.now();
      await this.#put(transaction);
      times.push(performance.now() - begun);
    }
    return times;
  }

  close(): void {
    this.#agent.destroy();
  }

  #put({ id, body }: Transaction): Promise<void> {
    const { name, port } = this.#subject;
    return new Promise((resolve, reject) => {
      const sent = request({
        agent: this.#agent,
        host: "127.0.0.1",
        port,
        method: "PUT",
        path: `/_matrix/app/v1/transactions/${id}`,
        headers: {
          authorization: `Bearer ${HS_TOKEN}`,
          "content-type": "application/json",
          "content-length": body.length,
        },
      });
      sent.on("response", (response) => {
        if (response.statusCode !== 200) reject(new Error(`${name} answered ${String(response.statusCode)}`));
        response.resume().on("end", resolve);
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }
}
