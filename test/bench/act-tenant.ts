import { ADMIN_TOKEN, type Subject } from "./subject.ts";

/** A tenant that was added to a daemon. */
export interface AddedTenant {
  readonly id: string;
  readonly asToken: string;
}

export async function addTenant(emissary: Subject, id: string, url: string | null = null): Promise<AddedTenant> {
  const added = await ask(emissary.adminPort, "POST", "/_emissary/v1/tenants", ADMIN_TOKEN, { id, url });
  const { as_token: asToken } = added["registration"] as { as_token: string };
  return { id, asToken };
}

/** Has the tenant join a room, and waits until the ledger knows that room. */
export async function joinRoom(emissary: Subject, { asToken }: AddedTenant, roomId: string): Promise<void> {
  const room = encodeURIComponent(roomId);
  await ask(emissary.gatewayPort, "POST", `/_matrix/client/v3/join/${room}`, asToken, {});
  for (;;) {
    const { load } = await ask(emissary.adminPort, "GET", `/_emissary/v1/rooms/${room}`, ADMIN_TOKEN);
    if (load === "loaded") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function ask(
  port: number,
  method: string,
  path: string,
  token: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}
