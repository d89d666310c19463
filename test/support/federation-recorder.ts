import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  request,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import type { Pair } from "../../homeservers/synapse/pair.ts";
import type { Synapse } from "../../homeservers/synapse/synapse.ts";

/** One request between the servers, with its answer. */
export interface Exchange {
  /** The server that was asked. */
  readonly asked: string;
  readonly method: string;
  readonly url: string;
  /** All of request and answer as text: lines, headers, bodies. */
  readonly text: string;
}

/** Stands before the federation ports of two servers, takes their TLS off and notes all that they say to each other. */
export class FederationRecorder {
  readonly exchanges: Exchange[] = [];
  /** Servers to which events get lost: whoever sends them is told that they came. */
  readonly lossy = new Set<string>();
  /** Events that got lost. */
  lost = 0;
  readonly #servers: Server[] = [];
  #fronts = { alpha: 0, beta: 0 };

  /** The ports under which the servers are to know each other. */
  async reserve(): Promise<{ readonly alpha: number; readonly beta: number }> {
    const [alpha = 0, beta = 0] = await freePorts(2);
    this.#fronts = { alpha, beta };
    return this.#fronts;
  }

  async start({ alpha, beta }: Pair): Promise<void> {
    await this.#standBefore(alpha, this.#fronts.alpha);
    await this.#standBefore(beta, this.#fronts.beta);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Everything so far, as text. */
  get text(): string {
    return this.exchanges.map(({ text }) => text).join("\n");
  }

  async #standBefore(synapse: Synapse, port: number): Promise<void> {
    const [cert, key] = ["tls.crt", "tls.key"].map((name) => readFileSync(join(synapse.dir, name)));
    const server = createServer({ cert, key }, (incoming, outgoing) => {
      this.#pass(synapse, incoming, outgoing).catch((error: unknown) => {
        outgoing.destroy(error instanceof Error ? error : undefined);
      });
    });
    server.listen(port, "localhost");
    await once(server, "listening");
    this.#servers.push(server);
  }

  async #pass(synapse: Synapse, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url = "" } = incoming;
    const headers: OutgoingHttpHeaders = { ...incoming.headers };
    // What is to be read must not come compressed.
    delete headers["accept-encoding"];
    const body = await bytesOf(incoming);
    if (this.lossy.has(synapse.serverName) && url.startsWith("/_matrix/federation/v1/send/")) {
      const { pdus } = JSON.parse(body.toString("utf8")) as { readonly pdus: readonly unknown[] };
      this.lost += pdus.length;
      outgoing.writeHead(200, { "content-type": "application/json" }).end('{"pdus":{}}');
      return;
    }
    // The clients' port answers other servers, too, and without TLS.
    const asking = request(`${synapse.url}${url}`, { method, headers });
    asking.end(body);
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    const answered = await bytesOf(answer);
    this.exchanges.push({
      asked: synapse.serverName,
      method,
      url,
      text: [
        `${method} ${decodeURIComponent(url)}`,
        ...linesOf(incoming.headers),
        body.toString("utf8"),
        String(answer.statusCode),
        ...linesOf(answer.headers),
        answered.toString("utf8"),
      ].join("\n"),
    });
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.end(answered);
  }
}

function linesOf(headers: IncomingHttpHeaders): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`);
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
