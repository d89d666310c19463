import { expect, test } from "vitest";
import { outcomeOf } from "../../../../src/tenants/delivery/outcome.ts";

const answered = (status: number, body: string, isWhole = true) =>
  outcomeOf({ heard: true, status, body: Buffer.from(body), isWhole });

test.each(["{}", "", "null", '"ok"'])("200 with %j is taken", (body) => {
  expect(answered(200, body)).toEqual({ kind: "taken" });
});

test.each<[string, number, string, Partial<Record<"isToken" | "isPath", boolean>>]>([
  ["200 with a page of HTML", 200, "<html>", {}],
  ["another success", 202, "{}", {}],
  ["a token that is not known", 401, "{}", { isToken: true }],
  ["a token that is wrong", 403, '{"errcode":"M_FORBIDDEN"}', { isToken: true }],
  ["a path that is not known", 404, "", { isPath: true }],
  ["a method that is not known", 405, "", { isPath: true }],
  ["a redirect", 307, "", {}],
  ["a failure", 500, "{}", {}],
])("%s is not taken", (_what, status, body, more) => {
  expect(answered(status, body)).toMatchObject({ kind: "not-taken", isToken: false, isPath: false, ...more });
});

test("an answer that was cut short is not taken, whatever it began with", () => {
  expect(answered(200, "", false)).toMatchObject({ kind: "not-taken" });
});

test("of a tenant's words only an error code is repeated", () => {
  const sentence = (body: string): unknown => ({ sentence: "", ...answered(500, body) }).sentence;
  expect(sentence('{"errcode":"M_UNKNOWN","error":"cannot handle: a great secret"}')).toBe(
    "The tenant answers 500 M_UNKNOWN.",
  );
  expect(sentence('{"errcode":"a great secret"}')).toBe("The tenant answers 500.");
});
