import type { FastifyRequest } from "fastify";
import { hash } from "node:crypto";
import { txnIdAt, type Owner } from "../../../model/attribution.ts";
import type { Clock } from "../../../model/clock.ts";
import type { WholeAnswer } from "../../../http/upstream.ts";
import { param } from "../../../http/server.ts";
import { ownerOfCaller, type Caller } from "../caller.ts";
import type { SentEvents } from "../contracts.ts";

/** As long as Synapse remembers a device's, milliseconds. */
const REMEMBERED_MS = 24 * 60 * 60_000;

/** A request that is one event however often it is made. */
export interface Sending {
  /** At the homeserver. */
  readonly txnId: string;
  readonly owner: Owner;
}

/** @param call what tells the endpoint, of one caller's: its way, room, and type or event */
export function sendingOf(caller: Caller, request: FastifyRequest, ...call: readonly string[]): Sending {
  const owner = ownerOfCaller(caller);
  const endpoint = hash("sha256", call.join("\n"), "base64url").slice(0, 8);
  return { owner, txnId: txnIdAt(owner, endpoint, param(request, "txnId")) };
}

/**
 * One event for one transaction ID, also where the homeserver has forgotten it: at a restart, or where another of its processes is asked.
 * What was sent is known from the commit of its audit row, which comes before its answer; between the homeserver's answer and that
 * commit, from the homeserver's own memory of the device that sends (homeserver/device.ts).
 */
export class Repeats {
  readonly #sent: SentEvents;
  readonly #clock: Clock;
  /** As many as there are requests under way. */
  readonly #underWay = new Map<string, Promise<WholeAnswer>>();

  constructor(sent: SentEvents, clock: Clock) {
    this.#sent = sent;
    this.#clock = clock;
  }

  /** What `send` answers, called once for requests that come while it is under way, and not for those that come later. */
  async once(txnId: string, send: () => Promise<WholeAnswer>): Promise<WholeAnswer> {
    const eventId = await this.#sent.find(txnId, this.#clock.now() - REMEMBERED_MS);
    if (eventId !== null) return answerOf(eventId);
    const earlier = this.#underWay.get(txnId);
    if (earlier !== undefined) return earlier;
    const mine = send();
    this.#underWay.set(txnId, mine);
    try {
      return await mine;
    } finally {
      this.#underWay.delete(txnId);
    }
  }
}

/** As a homeserver answers what it sent. */
export function answerOf(eventId: string): WholeAnswer {
  const body = Buffer.from(JSON.stringify({ event_id: eventId }));
  return { status: 200, headers: { "content-type": "application/json" }, body };
}
