// @ts-check
import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";
import { HOST, homeserverUrl, ready } from "./peer.mjs";

const server = fastify({ logger: false, routerOptions: { maxParamLength: 1024 } });
await server.register(httpProxy, { upstream: homeserverUrl });
await server.listen({ host: HOST, port: 0 });
const address = server.server.address();
ready(typeof address === "object" && address !== null ? address.port : 0);
