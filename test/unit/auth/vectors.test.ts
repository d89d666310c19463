import { readdirSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { authTypesFor, mayBecomeMember, readableByNonMembers, redactedContent } from "../../../src/auth/auth.ts";
import {
  AUTH_FILES,
  authTypesVectors,
  authVectors,
  readingVectors,
  redactionVectors,
  type AuthVector,
} from "./vectors.ts";

const verdictOn = ({ create, state, event, first, signed }: AuthVector) =>
  mayBecomeMember({
    create,
    state,
    event,
    isFirst: first ?? false,
    signatures: { authorisingServer: true, thirdPartyInvite: signed?.third_party_invite ?? true },
  });

describe.each(AUTH_FILES)("vectors/msc1777/%s.json", (file) => {
  test.each(authVectors(file))("$expect: $name", (vector) => {
    const verdict = verdictOn(vector);
    expect(verdict.allowed ? "allow" : "reject", verdict.reason).toBe(vector.expect);
    expect(verdict.reason).not.toMatch(/@.*:/);
    expect(verdict.reason.length).toBeLessThan(200);
  });
});

describe("vectors/msc1777/auth-types.json", () => {
  test.each(authTypesVectors())("$name", (vector) => {
    const listed = authTypesFor(vector.event, vector.room_version).map(([type, key]) => `${type} ${key}`);
    expect(listed.toSorted()).toEqual(vector.expect.map(([type, key]) => `${type} ${key}`).toSorted());
  });
});

describe("vectors/msc1777/redaction.json", () => {
  test.each(redactionVectors())("$name", (vector) => {
    expect(redactedContent(vector.type, vector.content, vector.room_version)).toEqual(vector.expect);
  });
});

describe("vectors/msc1777/reading.json", () => {
  test.each(readingVectors())("$expect: $name", (vector) => {
    expect(readableByNonMembers(vector.state, vector.room_version)).toBe(vector.expect === "readable");
  });
});

describe("the vectors themselves", () => {
  const all = AUTH_FILES.flatMap(authVectors);

  it("are all run", () => {
    const files = readdirSync(new URL("../../../vectors/msc1777/", import.meta.url));
    const run = [...AUTH_FILES, "auth-types", "redaction", "reading"].map((file) => `${file}.json`);
    expect(files.toSorted()).toEqual([...run, "README.md"].toSorted());
  });

  it("are about one room version each, and have a name of their own within their file", () => {
    for (const { create, room_version } of all) expect(create.content["room_version"]).toBe(room_version);
    for (const file of AUTH_FILES) {
      const names = authVectors(file).map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it("reach every rule that can decide about a membership", () => {
    const rules = new Set(all.map((vector) => verdictOn(vector).rule));
    const deciding = `4 5.3.1 5.3.2 5.3.3 5.3.3a.1 5.3.3a.2 5.3.3a.3 5.3.3a.4 5.3.4 5.3.5.1 5.3.5.2 5.3.5.3 5.3.6 5.3.7
      5.4.1.1 5.4.1.2 5.4.1.4 5.4.1.5 5.4.1.6 5.4.1.7 5.4.1.8 5.4.2 5.4.3 5.4.4 5.4.5 5.5.1 5.5.2 5.5.3 5.5.4 5.5.5
      5.6.1 5.6.2 5.6.3 5.7.1 5.7.2 5.7.3 5.7.4 5.8`;
    expect([...rules]).toEqual(expect.arrayContaining(deciding.split(/\s+/)));
  });
});
