/** A compiled regular expression from outside. The time of a match grows only with the text's length. */
export interface Expression {
  /** Matches from the text's beginning, and to its end only if the expression says so, as homeservers do. */
  readonly matches: (text: string) => boolean;
}

/** An expression, or what is wrong with it: the end of a sentence that names it. */
export type Compiled = { readonly expression: Expression } | { readonly fault: string };

/** Compiles expressions. Passed to inner folders, since they import no package (platform/expressions.ts). */
export type Compile = (text: string) => Compiled;

/** Replaces an invalid expression. */
export const MATCHES_NOTHING: Expression = { matches: () => false };
