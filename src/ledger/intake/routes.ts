import { hash } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import type { UserId } from "../../model/ids.ts";
import { parsedObject, stringAt, type JsonValue } from "../../model/json.ts";
import type { Recorder, RecordOutcome } from "../recorder.ts";
import { isSameSecret, tokensOf } from "../../http/bearer.ts";
import { param, refusePath, serve, type Handler } from "../../http/server.ts";
import { parseTransaction } from "./parse.ts";

/** A full transaction of Synapse exceeds 6 MiB (100 events of 64 KiB, and what comes with them). */
export const INTAKE_BODY_LIMIT = 32 * 1024 * 1024;

/** A longer ID of a ping is not kept; the IDs of `emissary doctor` have 22 characters. */
const PING_ID_LIMIT = 255;

export interface IntakeParts {
  readonly recorder: Recorder;
  readonly hsToken: string;
  readonly own: UserId;
  readonly observe: (seen: RecordOutcome & { readonly ephemeral: number }) => void;
  /** Called with typing, receipts and presence, which are not stored. */
  readonly passed: (events: readonly JsonValue[]) => void;
  /** Called for every ping with an ID. */
  readonly pinged: (transactionId: string) => void;
}

/**
 * Registers the application service API that the homeserver calls (spec, AS API, "Server → Application service"), with
 * the unversioned paths that older homeservers fall back to.
 */
export function intakeRoutes(server: FastifyInstance, parts: IntakeParts): void {
  // Before a byte of the body is read, so that a stranger cannot fill our memory.
  server.addHook("onRequest", async (request) => checkToken(request, parts.hsToken));

  const transaction: Handler = async (request) => {
    const body = request.body;
    if (!Buffer.isBuffer(body)) throw new EmissaryError("not-json", "The transaction has no body.");
    await takeTransaction(parts, param(request, "txnId"), body);
    return {};
  };

  // The homeserver asks for a user of our namespaces that it does not know: the pseudouser before it is registered, or
  // a tenant's user, which exists only inside Emissary.
  const user: Handler = async (request) => {
    if (param(request, "userId") === parts.own) return {};
    throw new EmissaryError("not-found", "This user does not exist.");
  };

  const room: Handler = async () => {
    throw new EmissaryError("not-found", "Emissary makes no rooms for aliases.");
  };

  // fastify sets Content-Length; without it, Synapse takes a ping's answer for a broken one (502 M_CONNECTION_FAILED).
  const ping: Handler = async (request) => {
    const transactionId = Buffer.isBuffer(request.body) ? stringAt(parsedObject(request.body), "transaction_id") : null;
    if (transactionId !== null && transactionId.length <= PING_ID_LIMIT) parts.pinged(transactionId);
    return {};
  };

  for (const prefix of ["/_matrix/app/v1", ""]) {
    serve(server, `${prefix}/transactions/:txnId`, { PUT: transaction });
    serve(server, `${prefix}/users/:userId`, { GET: user });
    serve(server, `${prefix}/rooms/:alias`, { GET: room });
  }
  serve(server, "/_matrix/app/v1/ping", { POST: ping });
  server.setNotFoundHandler(refusePath);
}

/** Answers only after the commit, so that events the homeserver believes delivered are on disk. */
async function takeTransaction({ recorder, observe, passed }: IntakeParts, txnId: string, body: Buffer): Promise<void> {
  const digest = hash("sha256", body, "base64url");
  if (recorder.isRepeated(txnId, digest)) {
    observe({ repeated: true, fresh: 0, duplicates: 0, setAside: 0, gaps: 0, ephemeral: 0 });
    return;
  }
  const { events, setAside, ephemeral, passing, plain, withTexts } = parseTransaction(body);
  const outcome = await recorder.record({ txnId, digest, events, setAside, verbatim: plain ? body : null, withTexts });
  observe({ ...outcome, ephemeral });
  if (passing.length > 0 && !outcome.repeated) passed(passing);
}

/** The header counts. The query parameter is accepted alone, and must agree (spec, "Authorization"). */
function checkToken(request: FastifyRequest, hsToken: string): void {
  const { header, query } = tokensOf(request.raw);
  if (header === null && query === null) {
    const sentence = "The request has no token: the hs_token of registration.yaml is expected.";
    throw new EmissaryError("missing-token", sentence);
  }
  const agrees = (token: string | null): boolean => token === null || isSameSecret(token, hsToken);
  if (!agrees(header) || !agrees(query)) {
    const sentence = "The token is not the hs_token of our registration: has the homeserver loaded another one?";
    throw new EmissaryError("forbidden", sentence);
  }
}
