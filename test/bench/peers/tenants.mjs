// @ts-check
/**
 * Many tenants in one process, each with a server of its own. Told how many there are to be; tells of each transaction who
 * got it, how many events it held, and when, by the clock that all processes of a machine share. A tenant may be down, or
 * take its time.
 */
import { createServer } from "node:http";
import { listening, ready } from "./peer.mjs";

/** @type {Map<number, { down: boolean, delay: number }>} */
const manners = new Map();

process.on("message", (/** @type {{ listen?: number, tenant: number, down: boolean, delay: number }} */ told) => {
  if (told.listen === undefined) manners.set(told.tenant, told);
  else void listen(told.listen);
});
ready(0);

/** @param {number} count */
async function listen(count) {
  const ports = await Promise.all(Array.from({ length: count }, (_, tenant) => listening(serverOf(tenant))));
  process.send?.({ ports });
}

/** @param {number} tenant */
function serverOf(tenant) {
  return createServer((request, response) => {
    /** @type {Buffer[]} */
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const at = Number(process.hrtime.bigint()) / 1e6;
      const { down, delay } = manners.get(tenant) ?? { down: false, delay: 0 };
      const answer = () => response.writeHead(down ? 503 : 200, { "content-type": "application/json" }).end("{}");
      if (!down && request.url?.includes("/transactions/")) {
        const { events } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
        process.send?.({ tenant, events: events.length, at });
      }
      if (delay === 0) answer();
      else setTimeout(answer, delay);
    });
  });
}
