import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("../../../src/auth/", import.meta.url);

test.each(readdirSync(folder))("%s uses nothing that only Node has, and nothing from outside its folder", (file) => {
  const source = readFileSync(new URL(file, folder), "utf8");
  expect(source).not.toMatch(/\b(?:Buffer|process|setImmediate|require|__dirname)\b|from "(?!\.\/)/);
});
