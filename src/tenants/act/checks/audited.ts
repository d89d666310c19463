import type { FastifyReply } from "fastify";
import { isEventId, type RoomId } from "../../../model/ids.ts";
import { parsedObject, stringAt, written, type JsonObject } from "../../../model/json.ts";
import type { Tenant } from "../../../model/tenant.ts";
import { sendWhole, type WholeAnswer } from "../../../http/upstream.ts";
import type { ActParts } from "../act.ts";
import type { Sending } from "./repeats.ts";

/** Something that a tenant makes the pseudouser do in a room. */
export interface AuditedDeed {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly body: JsonObject;
  readonly roomId: RoomId;
  /** For the audit, for example `event.send`. */
  readonly action: string;
  readonly detail: JsonObject;
  /** The answer to the tenant, if the homeserver's is that of another call. */
  readonly said?: JsonObject;
  /** If the request has a transaction ID. */
  readonly sending?: Sending;
  /** Returns another answer after the homeserver's; null to keep it. */
  readonly otherwise?: (answer: WholeAnswer) => Promise<WholeAnswer | null>;
}

type Parts = Pick<ActParts, "upstream" | "lanes" | "audit">;

/** Makes the homeserver do it, and audits the outcome before answering the tenant. */
export async function passAudited(
  parts: Parts,
  tenant: Tenant,
  reply: FastifyReply,
  deed: AuditedDeed,
): Promise<FastifyReply> {
  const answer = await doAudited(parts, tenant, deed);
  return answer.status === 200 && deed.said !== undefined ? reply.send(deed.said) : sendWhole(reply, answer);
}

/** The same, for an answer that several callers wait for. */
export async function doAudited(
  { upstream, lanes, audit }: Parts,
  tenant: Tenant,
  deed: AuditedDeed,
): Promise<WholeAnswer> {
  const { method, path, body, sending, otherwise } = deed;
  const bytes = Buffer.from(written(body));
  const ask = (): Promise<WholeAnswer> =>
    sending === undefined ? upstream.answer(method, path, bytes) : upstream.write(method, path, bytes);
  const answer = await lanes.put(tenant.id, deed.roomId, ask);
  const done = (await otherwise?.(answer)) ?? answer;
  await noteAnswer(audit, tenant, deed, done);
  return done;
}

/** Audits the outcome of a deed. */
export async function noteAnswer(
  audit: Parts["audit"],
  tenant: Tenant,
  { action, roomId, detail, sending }: Pick<AuditedDeed, "action" | "roomId" | "detail" | "sending">,
  answer: WholeAnswer,
): Promise<void> {
  const said = parsedObject(answer.body);
  const eventId = stringAt(said, "event_id");
  const isSent = answer.status === 200 && eventId !== null && isEventId(eventId);
  await audit.noteDone({
    actor: `tenant:${tenant.id}`,
    action,
    outcome: answer.status === 200 ? "done" : (stringAt(said, "errcode") ?? String(answer.status)),
    roomId,
    detail: eventId === null ? detail : { ...detail, event_id: eventId },
    ...(sending !== undefined && isSent ? { sent: { ...sending, eventId } } : {}),
  });
}
