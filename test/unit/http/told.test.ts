import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EmissaryError, ERROR_CODES } from "../../../src/model/errors.ts";
import { VERDICT_CODES } from "../../../src/model/verdict.ts";
import { matrixErrorBody, PUBLIC_VERDICTS, publicSentence } from "../../../src/http/matrix-errors.ts";

const CANARY = "he is a stalker, see ticket 5, at 10.0.0.1";
/** What only an operator has a use for: keys of the configuration, addresses, paths. */
const INTERNAL =
  /\b(?:peek|policy|gateway|attendance|storage|invites|aliases|admin|appservice|homeserver)\.[a-z_]+|:\/\/|\/(?:etc|var)\b|registration\.yaml/;

describe("strangers", () => {
  test.each(
    VERDICT_CODES.flatMap((verdict) =>
      (["refused-by-policy", "refused-by-homeserver", "limited"] as const).map((code) => [verdict, code] as const),
    ),
  )("are told of %s as %s by a sentence of its own, and not by its reason", (reason, code) => {
    const error = new EmissaryError(code, `Policy refuses !r:x: ${CANARY}.`, { reason });
    const body = matrixErrorBody(error, "strangers");
    expect([body["error"], body["org.matrix.msc1777.reason"]]).toEqual([PUBLIC_VERDICTS[reason], reason]);
    expect(matrixErrorBody(error, "operator")["error"]).toContain(CANARY);
  });

  test.each(["kicked", "M_FORBIDDEN", "HTTP_502", CANARY, null])(
    "are told nothing of the cause where a join ended with %s",
    (reason) => {
      for (const code of [
        "refused-by-homeserver",
        "refused-by-policy",
        "timeout",
        "homeserver-error",
        "homeserver-unreachable",
        "internal",
        "bad-config",
        "not-ready",
      ] as const) {
        const error = new EmissaryError(code, CANARY, reason === null ? {} : { reason });
        expect(JSON.stringify(matrixErrorBody(error, "strangers"))).not.toContain("stalker");
      }
    },
  );

  test.each(ERROR_CODES)("have a sentence for %s", (code) => {
    expect(publicSentence(new EmissaryError(code, "A sentence."))).toMatch(/^[A-Z].*\.$/);
  });

  test("no sentence of verdicts has what is the operator's alone", () => {
    for (const sentence of Object.values(PUBLIC_VERDICTS)) expect(sentence).not.toMatch(INTERNAL);
  });

  test("nor has any other that the gateway writes for whoever asks", () => {
    const root = new URL("../../../src/", import.meta.url);
    const sentences = ["tenants/act", "tenants/sync", "peek", "http/door"].flatMap((folder) =>
      readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .flatMap((file) => {
          const source = readFileSync(new URL(`${folder}/${file}`, root), "utf8");
          return [...source.matchAll(/new EmissaryError\(\s*"[a-z-]+",\s*("[^"]*"|`[^`]*`)/g)].map(
            ([, text]) => text ?? "",
          );
        }),
    );
    expect(sentences.length).toBeGreaterThan(40);
    const outside = sentences.map((text) => text.replaceAll(/\$\{[^}]*\}/g, ""));
    expect(outside.filter((text) => INTERNAL.test(text))).toEqual([]);
  });
});
