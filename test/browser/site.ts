/** The page of `page/`, bundled once and served on loopback: an origin of its own, as a web client has beside its homeserver. */
import { readFile, rm } from "node:fs/promises";
import { mkdtemp } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "vite";

const PAGE = path.join(import.meta.dirname, "page");
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

export class Site {
  readonly url: string;
  readonly #server: Server;
  readonly #dir: string;

  private constructor(server: Server, dir: string) {
    this.#server = server;
    this.#dir = dir;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async open(): Promise<Site> {
    const dir = await mkdtemp(path.join(tmpdir(), "emissary-page-"));
    try {
      await build({
        root: PAGE,
        configFile: false,
        logLevel: "warn",
        build: {
          outDir: dir,
          emptyOutDir: true,
          minify: false,
          target: "esnext",
          // Its WebAssembly is loaded where encryption is turned on, which this page never does.
          rolldownOptions: { external: /matrix-sdk-crypto-wasm/ },
        },
      });
      const server = createServer((request, response) => {
        const asked = new URL(request.url ?? "/", "http://page").pathname;
        const file = path.join(dir, asked === "/" ? "index.html" : path.basename(asked));
        const from = asked.startsWith("/assets/") ? path.join(dir, "assets", path.basename(asked)) : file;
        readFile(from).then(
          (bytes) => {
            const type = TYPES[path.extname(from)] ?? "application/octet-stream";
            response.writeHead(200, { "content-type": type }).end(bytes);
          },
          () => response.writeHead(404).end(),
        );
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      return new Site(server, dir);
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await rm(this.#dir, { recursive: true, force: true });
  }
}
