import type { FastifyReply } from "fastify";
import { isEventId, type RoomId } from "../../../model/ids.ts";
import { parsedObject, stringAt, written, type JsonObject } from "../../../model/json.ts";
import { sendWhole, type WholeAnswer } from "../../../http/upstream.ts";
import type { Call } from "../act.ts";
import type { Sending } from "./repeats.ts";

/** Something that a tenant makes the pseudouser do in a room, for the audit. */
export interface AuditNote {
  readonly roomId: RoomId;
  /** For example `event.send`. */
  readonly action: string;
  readonly detail?: JsonObject;
  /** If the request has a transaction ID. */
  readonly sending?: Sending;
}

export interface AuditedDeed extends AuditNote {
  readonly path: string;
  readonly body: JsonObject;
  /** The answer to the tenant, if the homeserver's is that of another call. */
  readonly said?: JsonObject;
  /** Returns another answer after the homeserver's; null to keep it. */
  readonly otherwise?: (answer: WholeAnswer) => Promise<WholeAnswer | null>;
}

/** Makes the homeserver do it, and audits the outcome before answering the tenant. */
export async function passAudited(call: Call, deed: AuditedDeed): Promise<FastifyReply> {
  const answer = await doAudited(call, deed);
  return answer.status === 200 && deed.said !== undefined ? call.reply.send(deed.said) : sendWhole(call.reply, answer);
}

/** The same, for an answer that several callers wait for. */
export async function doAudited(call: Call, deed: AuditedDeed): Promise<WholeAnswer> {
  const { upstream, lanes } = call.parts;
  const { path, body, sending, otherwise } = deed;
  const bytes = Buffer.from(written(body));
  const ask = (): Promise<WholeAnswer> =>
    sending === undefined ? upstream.answer("PUT", path, bytes) : upstream.write("PUT", path, bytes);
  const answer = await lanes.put(call.tenant.id, deed.roomId, ask);
  const done = (await otherwise?.(answer)) ?? answer;
  await noteAnswer(call, deed, done);
  return done;
}

/** Audits the outcome of a deed. */
export async function noteAnswer(
  { parts, tenant }: Call,
  { action, roomId, detail = {}, sending }: AuditNote,
  answer: WholeAnswer,
): Promise<void> {
  const eventId = stringAt(parsedObject(answer.body), "event_id");
  const isSent = answer.status === 200 && eventId !== null && isEventId(eventId);
  await parts.audit.noteDone({
    actor: `tenant:${tenant.id}`,
    action,
    outcome: answer.status === 200 ? "done" : failureOf(answer),
    roomId,
    detail: eventId === null ? detail : { ...detail, event_id: eventId },
    ...(sending !== undefined && isSent ? { sent: { ...sending, eventId } } : {}),
  });
}

/** Returns the homeserver's error code, or its status if there is none. */
export function failureOf({ status, body }: WholeAnswer): string {
  return stringAt(parsedObject(body), "errcode") ?? String(status);
}
