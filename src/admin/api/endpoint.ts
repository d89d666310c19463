import { z } from "zod";

/**
 * One thing that the admin API does, as data. The daemon's routes, the CLI's calls, `openapi.json` and the reference page are made of it,
 * so that none of them can say something else than the others.
 */
export interface Endpoint {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below ADMIN_BASE, with `:name` for each parameter. */
  readonly path: string;
  /** What it does, as a clause. */
  readonly note: string;
  /** Of the query's parameters the first value counts, of a list all. Each schema has its own sentence for what does not fit. */
  readonly query?: z.ZodObject;
  readonly body?: Body;
  /** The answer's JSON as it is, without defaults and transformations: what was checked is used as it came. */
  readonly answer: z.ZodType;
  /** Milliseconds in which it answers unless something is wrong: for what waits for others. */
  readonly patience?: number;
}

export interface Body {
  readonly schema: z.ZodType;
  /** The sentence for a body that does not fit. @param issues what is wrong with it, as clauses */
  readonly fault: (issues: string) => string;
}

/** JSON that nobody changes. */
export type Told<Value> = Value extends string | number
  ? Value
  : Value extends readonly (infer Item)[]
    ? readonly Told<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: Told<Value[Key]> }
      : Value;

export type AnswerOf<One extends Endpoint> = Told<z.output<One["answer"]>>;

/** The names of a path's parameters. */
export type ParamsOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;

export const text = z.string();
export const maybe = text.nullable();
export const count = z.int();
/** A moment, in milliseconds since the Unix epoch. */
export const at = z.int();

/** The `limit` of a list: at most `most`, which is also what it is without one. */
export function limitOf(most: number) {
  const error = "`limit` is to be a whole number from 1.";
  return z.coerce
    .number({ error })
    .int({ error })
    .min(1, { error })
    .transform((limit) => Math.min(limit, most))
    .default(most)
    .describe(`how many, ${most} at most, which is also what it is without one`);
}

/** Where a page begins: behind the item with this name. */
export function afterOf<Name extends string>(isName: (given: string) => given is Name, what: string) {
  return orNull(text.refine(isName, `\`after\` is to be ${what}.`)).describe("`next` of the page before");
}

/** A parameter that may be missing. */
export function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.optional().transform((value) => value ?? null);
}

/** What goes into the parameter of the following page. */
export const next = maybe.describe("goes into `after` for the following page; null at the end");
