// @ts-check
/** What any proxy in Node has to do, and no more: read a request, send it on with its headers, and send back what comes. */
import { createServer } from "node:http";
import { Pool } from "undici";
import { homeserverUrl, listening, ready } from "./peer.mjs";

const pool = new Pool(homeserverUrl, { connections: 64 });

const server = createServer((request, response) => {
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const { method = "GET", url = "/" } = request;
  pool.dispatch(
    { method, path: url, headers, body: request },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, { connection: _theirs, "keep-alive": _alive, ...theirs }) {
        response.writeHead(status, theirs);
      },
      onResponseData(_controller, chunk) {
        response.write(chunk);
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError() {
        response.writeHead(502).end();
      },
    },
  );
});
ready(await listening(server));
