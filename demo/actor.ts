/** Somebody who asks a server something, so that the reader sees the question and what was really answered. */
import type { Answer, Json, MatrixUser, Query } from "../homeservers/synapse/client.ts";
import type { Screen } from "./screen.ts";

export const CLIENT_API = "/_matrix/client/v3";

/** What clients send where there is nothing to say. */
const NO_BODY = { GET: undefined, PUT: {}, POST: {} } as const;

export type Question = {
  readonly method: "GET" | "PUT" | "POST";
  /** Below /_matrix/client/v3. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: Json;
  /** The part of a long answer that is shown. */
  readonly pick?: (body: Json) => unknown;
};

export class Actor {
  readonly name: string;
  readonly user: MatrixUser;
  readonly #whom: string;
  readonly #screen: Screen;

  /** `whom`: the server that is asked, in the reader's words. */
  constructor(name: string, user: MatrixUser, whom: string, screen: Screen) {
    this.name = name;
    this.user = user;
    this.#whom = whom;
    this.#screen = screen;
  }

  get userId(): string {
    return this.user.userId;
  }

  async ask(question: Question): Promise<Answer> {
    const { method, path, query, body, pick } = question;
    this.#screen.request(this.name, this.#whom, `${method} ${decodeURIComponent(path)}${queryText(query)}`, body);
    const startedAt = performance.now();
    const answer = await this.user.request(method, `${CLIENT_API}${path}`, query, body ?? NO_BODY[method]);
    const ms = performance.now() - startedAt;
    const isPicked = pick !== undefined && answer.status < 400;
    this.#screen.answer(answer.status, ms, isPicked ? pick(answer.body) : answer.body, isPicked);
    return answer;
  }
}

/** Below /rooms. */
export function room(roomId: string, path: string): string {
  return `/rooms/${encodeURIComponent(roomId)}/${path}`;
}

function queryText(query: Query = {}): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${String(value)}`);
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** A text of the answer that the rest of the demo builds on. Throws where it is not there. */
export function textOf(answer: Answer, key: string): string {
  const value = answer.body[key];
  if (typeof value === "string") return value;
  throw new Error(`the answer has no ${key}: ${answer.status} ${JSON.stringify(answer.body)}`);
}
