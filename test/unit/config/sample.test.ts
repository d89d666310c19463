import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { sections } from "../../../src/platform/config/sections.ts";
import { sampleConfig, sampleRegistration } from "../../../scripts/config-sample.ts";

const topLevel = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), "utf8");

describe("the samples at the top level are what the code generates (npm run sample)", () => {
  test("config.sample.yaml", () => expect(topLevel("config.sample.yaml")).toBe(sampleConfig()));
  test("registration.yaml", () => expect(topLevel("registration.yaml")).toBe(sampleRegistration()));
});

test("the sample shows every key, each under a sentence", () => {
  const lines = sampleConfig().split("\n");
  for (const [name, section] of Object.entries(sections)) {
    const start = lines.indexOf(`${name}:`);
    expect(start, name).toBeGreaterThan(0);
    for (const key of Object.keys(section.shape)) {
      const at = lines.findIndex((line, index) => index > start && new RegExp(`^ {2}(# )?${key}:`).test(line));
      expect(at, `${name}.${key}`).toBeGreaterThan(start);
      expect(lines[at - 1], `${name}.${key}`).toMatch(/^ {2}# .*\.$/);
    }
  }
});

test("what the sample says of a key without a required value is its default", () => {
  const sample = parse(sampleConfig()) as Record<string, unknown>;
  expect(sections.attendance.parse(sample["attendance"])).toEqual(sections.attendance.parse({}));
  expect(sections.policy.parse(sample["policy"])).toEqual(sections.policy.parse({}));
  expect(sections.log.parse(sample["log"])).toEqual(sections.log.parse({}));
});
