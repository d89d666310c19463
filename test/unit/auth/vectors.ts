import { readFileSync } from "node:fs";

const FOLDER = new URL("../../../vectors/msc1777/", import.meta.url);

interface Vector {
  readonly name: string;
  readonly why: string;
  readonly room_version: string;
}

export interface AuthVector extends Vector {
  readonly create: { readonly sender: string; readonly content: Record<string, unknown> };
  readonly state: readonly Record<string, unknown>[];
  readonly event: { readonly state_key: string; readonly content: Record<string, unknown> };
  readonly first?: boolean;
  readonly signed?: { readonly third_party_invite: boolean };
  readonly expect: "allow" | "reject";
}

export interface AuthTypesVector extends Vector {
  readonly event: unknown;
  readonly expect: readonly (readonly [string, string])[];
}

export interface RedactionVector extends Vector {
  readonly type: string;
  readonly content: unknown;
  readonly expect: unknown;
}

export interface ReadingVector extends Vector {
  readonly state: readonly unknown[];
  readonly expect: "readable" | "hidden";
}

export const AUTH_FILES = ["pseudousers", "vouchers", "ordinary-users", "memberships", "version-12"] as const;

export const authVectors = (file: string): AuthVector[] => read(file);
export const authTypesVectors = (): AuthTypesVector[] => read("auth-types");
export const redactionVectors = (): RedactionVector[] => read("redaction");
export const readingVectors = (): ReadingVector[] => read("reading");

function read<V extends Vector>(file: string): V[] {
  return JSON.parse(readFileSync(new URL(`${file}.json`, FOLDER), "utf8")) as V[];
}
