import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export const SERVER = "ours.example";
export const AS_TOKEN = "as-token-of-a-benchmark";
export const HS_TOKEN = "hs-token-of-a-benchmark";

/** As much of a homeserver as Emissary asks for at start when all is well: who it is, and what it is called. */
export class TinyHomeserver {
  readonly #server = createServer((request, response) => {
    const answer = request.url?.includes("/account/whoami") ? { user_id: `@:${SERVER}` } : { displayname: SERVER };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
