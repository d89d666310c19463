import { expect, test } from "vitest";
import { tellingFaults } from "../../../src/storage/sqlite/faults.ts";

class Store {
  readonly kept = "a field";
  #count = 1;

  get count(): number {
    return this.#count;
  }

  get broken(): number {
    throw Object.assign(new Error("disk"), { code: "SQLITE_FULL" });
  }

  async add(by: number): Promise<number> {
    this.#count += by;
    return this.#count;
  }
}

test("a store outwards has all that it has inwards: methods, getters, fields", async () => {
  const store = tellingFaults(new Store());
  expect([await store.add(2), store.count, store.kept]).toEqual([3, 3, "a field"]);
  expect(() => store.broken).toThrow(/the disk is full/);
});

test("what cannot be so given is no silent gap", () => {
  class Settable {
    #one = 1;
    get one(): number {
      return this.#one;
    }
    set one(value: number) {
      this.#one = value;
    }
  }
  expect(() => tellingFaults(new Settable())).toThrow(/neither a method nor a getter/);
});
