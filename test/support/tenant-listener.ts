import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../src/model/json.ts";

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly body: JsonObject;
  readonly raw: string;
}

export type Reply = (response: ServerResponse, call: Call) => void;

export const take: Reply = (response) => response.writeHead(200, { "content-type": "application/json" }).end("{}");

/** A tenant's own server. It keeps all it is sent, and what it took with 200 by the transaction's ID. */
export class TenantListener {
  readonly calls: Call[] = [];
  readonly taken = new Map<string, string>();
  reply: Reply = take;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    onTestFinished(() => this.stop());
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return this;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get transactions(): Call[] {
    return this.calls.filter(({ path: at }) => at.includes("/transactions/"));
  }

  /** IDs of the events that it took, in order. */
  get events(): string[] {
    return [...this.taken.values()].flatMap(eventIds);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = (await buffer(request)).toString();
    const call: Call = {
      method: request.method ?? "",
      path: request.url ?? "",
      token: request.headers.authorization,
      body: parsedObject(Buffer.from(raw)),
      raw,
    };
    this.calls.push(call);
    const id = call.path.split("/").at(-1) ?? "";
    response.once("finish", () => {
      if (response.statusCode === 200 && call.method === "PUT") this.taken.set(id, raw);
    });
    this.reply(response, call);
  }
}

function eventIds(body: string): string[] {
  const events = parsedObject(Buffer.from(body))["events"];
  return Array.isArray(events)
    ? events.flatMap((event) => (isJsonObject(event) ? [stringAt(event, "event_id") ?? ""] : []))
    : [];
}

/** How many contents each ID came with. */
export function contentsById(listener: TenantListener): number[] {
  const byId = Map.groupBy(listener.transactions, ({ path: at }) => at);
  return [...byId.values()].map((calls) => new Set(calls.map(({ raw }) => raw)).size);
}
