import { describe, expect, test } from "vitest";
import { EmissaryError } from "../../src/model/errors.ts";
import { tellingFaults, type DiskFault } from "../../src/storage/faults.ts";

class Base {
  #secret = 1;
  get inherited(): number {
    return this.#secret;
  }
  async inheritedCall(): Promise<number> {
    return this.#secret;
  }
}

class Store extends Base {
  readonly field = { deep: true };
  readonly arrow = (): string => this.#text;
  #text = "text";
  get getter(): string {
    return this.#text;
  }
  set setter(text: string) {
    this.#text = text;
  }
  call(): string {
    return this.#text;
  }
  get broken(): never {
    return this.full();
  }
  full(): never {
    throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
  }
  async fullLater(): Promise<never> {
    return this.full();
  }
  wrong(): never {
    throw new TypeError("a mistake in the program");
  }
}

describe("a store that tells of faults", () => {
  test("lacks nothing that the store has: fields, getters, setters, and what is inherited", async () => {
    const store = tellingFaults(new Store());
    expect([store.field.deep, store.arrow(), store.getter, store.call(), store.inherited]).toEqual([
      true,
      "text",
      "text",
      "text",
      1,
    ]);
    expect(await store.inheritedCall()).toBe(1);
    store.setter = "other";
    expect(store.getter).toBe("other");
    expect(store).toBeInstanceOf(Store);
    expect("getter" in store).toBe(true);
  });

  test("makes a sentence of what the disk does not do, tells of it, and leaves mistakes as they are", async () => {
    const told: DiskFault[] = [];
    const store = tellingFaults(new Store(), (fault) => told.push(fault));
    const message = expect.stringMatching("the disk is full") as string;
    const full = { code: "internal", message };
    expect(() => store.full()).toThrow(EmissaryError);
    expect(() => store.broken).toThrow(EmissaryError);
    await expect(store.fullLater()).rejects.toMatchObject(full);
    expect(told).toHaveLength(3);
    expect(told[0]).toMatchObject({ cause: "the disk is full (database or disk is full)" });
    expect(told[0]?.error).toMatchObject(full);
    expect(() => store.wrong()).toThrow(TypeError);
    expect(told).toHaveLength(3);
  });
});
