import { describe, expect, test } from "vitest";
import { EmissaryError, ERROR_CODES } from "../../../src/model/errors.ts";
import { MATRIX_ERRORS, matrixErrorBody } from "../../../src/http/matrix-errors.ts";

describe("our failures, to a Matrix caller", () => {
  test("every one has a status and an errcode, and nothing else has", () => {
    expect(Object.keys(MATRIX_ERRORS).sort()).toEqual([...ERROR_CODES].sort());
  });

  test.each(ERROR_CODES)("%s is an error, by a code of the specification", (code) => {
    const [status, errcode] = MATRIX_ERRORS[code];
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(errcode).toMatch(/^M_[A-Z_]+$/);
  });

  test("are told with our own code, and with reason and time where there are some", () => {
    expect(matrixErrorBody(new EmissaryError("not-found", "No such room."), "operator")).toEqual({
      errcode: "M_NOT_FOUND",
      error: "No such room.",
      "org.matrix.msc1777.code": "not-found",
    });
    const limited = new EmissaryError("limited", "Later.", {
      reason: "join-rule",
      retryAfter: 1_500.2,
      cause: new Error("x"),
    });
    expect(matrixErrorBody(limited, "operator")).toEqual({
      errcode: "M_LIMIT_EXCEEDED",
      error: "Later.",
      "org.matrix.msc1777.code": "limited",
      "org.matrix.msc1777.reason": "join-rule",
      retry_after_ms: 1_501,
    });
  });
});
