import { z } from "zod";

/** One operation of the admin API. The routes, the CLI, `openapi.json` and the reference page are made from it. */
export interface Endpoint {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below ADMIN_BASE, with `:name` for each parameter. */
  readonly path: string;
  /** What the operation does, as a clause. */
  readonly note: string;
  /** A parameter has its first value, or all values if it is a list. Each schema has its own error sentence. */
  readonly query?: z.ZodObject;
  readonly body?: Body;
  /** The answer's JSON, without defaults and transformations: the checked value is used as it came. */
  readonly answer: z.ZodType;
  /** For endpoints that wait for others: milliseconds until an answer must come. */
  readonly patience?: number;
}

export interface Body {
  readonly schema: z.ZodType;
  /** Makes the error sentence for an invalid body. @param issues what is wrong, as clauses */
  readonly fault: (issues: string) => string;
}

export type DeepReadonly<Value> = Value extends string | number
  ? Value
  : Value extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> }
      : Value;

export type AnswerOf<One extends Endpoint> = DeepReadonly<z.output<One["answer"]>>;

export type ParamsOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;

export const text = z.string();
export const maybe = text.nullable();
export const count = z.int();
/** A time, in milliseconds since the Unix epoch. */
export const at = z.int();

/** A list's `limit`. The maximum and the default are `most`. */
export function limitOf(most: number) {
  const error = "`limit` must be a positive integer.";
  return z.coerce
    .number({ error })
    .int({ error })
    .min(1, { error })
    .transform((limit) => Math.min(limit, most))
    .default(most)
    .describe(`how many, ${most} at most, which is also what it is without one`);
}

/** A page's start: after the item with this name. */
export function afterOf<Name extends string>(isName: (given: string) => given is Name, what: string) {
  return orNull(text.refine(isName, `\`after\` must be ${what}.`)).describe("`next` of the page before");
}

export function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.optional().transform((value) => value ?? null);
}

export const next = maybe.describe("goes into `after` for the following page; null at the end");
