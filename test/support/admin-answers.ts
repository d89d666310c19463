/** Every answer of the admin API that a test gets is held against what the API says of itself. */
import { expect } from "vitest";
import { ADMIN_ENDPOINTS } from "../../src/admin/api/endpoints.ts";
import type { Endpoint } from "../../src/admin/api/endpoint.ts";
import type { Answer } from "./service-app.ts";

/** The endpoint that a request is for; undefined for none. @param target below `/_emissary/v1` */
function endpointOf(method: string, target: string): Endpoint | undefined {
  const path = target.replace(/\?.*/s, "");
  const fits = ({ path: pattern }: Endpoint): boolean =>
    new RegExp(`^${pattern.replaceAll(".", "\\.").replace(/:\w+/g, "[^/]+")}$`).test(path);
  // `/aliases/sweep` before `/aliases/:alias`.
  const all = Object.values<Endpoint>(ADMIN_ENDPOINTS).filter((one) => one.method === method && fits(one));
  return all.sort((a, b) => a.path.split(":").length - b.path.split(":").length)[0];
}

/** Fails where an answer lacks a key that its endpoint describes, or has one more. */
export function asDescribed(method: string, target: string, answer: Answer): Answer {
  const endpoint = endpointOf(method, target);
  if (endpoint === undefined || answer.status !== 200) return answer;
  const parsed = endpoint.answer.safeParse(answer.body);
  expect(parsed.error?.issues ?? [], `${method} ${target}`).toEqual([]);
  // What the schema does not name it leaves out.
  expect(parsed.data, `${method} ${target}`).toEqual(answer.body);
  return answer;
}
