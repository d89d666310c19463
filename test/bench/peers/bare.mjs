// @ts-check
/** What any server in Node has to do; with a file, what any durable one has to do: the body is on disk before the answer. */
import { fdatasyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { counter, file, listening, ready } from "./peer.mjs";

const log = file === "" ? null : openSync(file, "a", 0o600);

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    counter.seen += JSON.parse(body.toString("utf8")).events.length;
    if (log !== null) {
      writeSync(log, body);
      fdatasyncSync(log);
    }
    response.writeHead(200, { "content-type": "application/json", "content-length": 2 }).end("{}");
  });
});
ready(await listening(server));
