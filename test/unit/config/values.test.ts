import { describe, expect, test } from "vitest";
import {
  formatListen,
  parseDuration,
  parseHttpUrl,
  parseListen,
  parseSize,
} from "../../../src/platform/config/values.ts";

describe("durations need a unit", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["10m", 600_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    ["0s", 0],
    ["10", null],
    ["10 m", null],
    ["-1s", null],
    ["1.5h", null],
    ["1h30m", null],
    ["10M", null],
    ["", null],
  ])("%j is %j milliseconds", (text, ms) => expect(parseDuration(text)).toBe(ms));
});

describe("sizes need a unit, of 1024", () => {
  test.each([
    ["512KiB", 524_288],
    ["100MiB", 104_857_600],
    ["1GiB", 1_073_741_824],
    ["0KiB", 0],
    ["1TiB", 2 ** 40],
    ["1GB", null],
    ["1024", null],
    ["1 GiB", null],
    ["1.5GiB", null],
    ["", null],
  ])("%j is %j bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));
});

describe("addresses to listen on", () => {
  test.each([
    ["127.0.0.1:9009", "127.0.0.1", 9009],
    ["localhost:0", "localhost", 0],
    ["[::1]:9009", "::1", 9009],
    ["[::]:65535", "::", 65_535],
  ])("%j", (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port });
    expect(formatListen({ host, port })).toBe(text);
  });

  test.each([
    "9009",
    ":9009",
    "127.0.0.1",
    "::1:9009",
    "[no]:9009",
    "127.0.0.1:65536",
    "http://127.0.0.1:9009",
    "a b:1",
  ])("%j is none", (text) => expect(parseListen(text)).toBeNull());
});

describe("addresses of others", () => {
  test.each([
    ["http://127.0.0.1:8008", "http://127.0.0.1:8008"],
    ["https://Matrix.Example.org/", "https://matrix.example.org"],
    ["https://example.org/synapse//", "https://example.org/synapse"],
    ["https://[::1]:8448", "https://[::1]:8448"],
    ["ftp://example.org", null],
    ["example.org", null],
    ["http://me:word@example.org", null],
    ["http://example.org?x=1", null],
    ["http://example.org/#top", null],
  ])("%j is taken as %j", (text, url) => expect(parseHttpUrl(text)).toBe(url));
});
