import { expect } from "vitest";
import { ADMIN_TOKEN, type Answer } from "./service-app.ts";
import { AS_TOKEN, HS_TOKEN } from "./fake-homeserver.ts";
import { CANARY, type Cast } from "./war-cast.ts";

/** What no answer has: how the program is built, where it lives, what went wrong in it. */
const INNER = /node_modules|\.(?:ts|js):\d+|\n\s+at |SQLITE|sqlite|\/tmp\/|Fastify|undici|TypeError|RangeError/;

/** Answers of ours that are allowed to be above 500: what is at the end of a ping is not ours. */
const PING = /\/appservice\/[^/]*\/ping/;

/** What the raider was told, in an answer: nothing of the host's, no secret, and nothing that went wrong inside. */
export function nothingTold(cast: Pick<Cast, "host" | "raider">, answer: Answer, asked: string): void {
  const text = `${JSON.stringify(answer.headers)}\n${answer.raw.toString()}`;
  told(cast, text, asked);
  if (!PING.test(asked)) expect(answer.status, `${asked}: ${text}`).toBeLessThan(500);
  if (answer.status >= 400) expect(INNER.test(text), `${asked} tells of our inside: ${text}`).toBe(false);
}

/** The same, of anything that came to the raider. */
export function told({ host, raider }: Pick<Cast, "host" | "raider">, text: string, where: string): void {
  const at = text.indexOf(CANARY);
  expect(
    at === -1 ? null : text.slice(Math.max(0, at - 300), at + 100),
    `what the raider reads by ${where}`,
  ).toBeNull();
  for (const secret of [AS_TOKEN, HS_TOKEN, ADMIN_TOKEN, ...host.secrets, ...raider.secrets]) {
    expect(text.includes(secret), `a token in ${where}`).toBe(false);
  }
}
