/** Reads number constants from the source, for pages that quote them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = new URL("../", import.meta.url);
const parsed = new Map<string, ts.SourceFile>();
const OPERATORS = new Map<ts.SyntaxKind, (left: number, right: number) => number>([
  [ts.SyntaxKind.AsteriskToken, (left, right) => left * right],
  [ts.SyntaxKind.AsteriskAsteriskToken, (left, right) => left ** right],
  [ts.SyntaxKind.SlashToken, (left, right) => left / right],
  [ts.SyntaxKind.PlusToken, (left, right) => left + right],
  [ts.SyntaxKind.MinusToken, (left, right) => left - right],
]);

/**
 * Returns the value of a constant at the top of a source file.
 * @param file its path from the top of the repository
 * @param name `NAME`, or `NAME.key` and `NAME[0]` for a part of it
 * @throws Error if the file has no such constant, or if its value is not made of numbers alone
 */
export function constantOf(file: string, name: string): number {
  const [first = "", ...keys] = name.split(/[.[\]]+/).filter((key) => key !== "");
  const value = keys.reduce<ts.Expression>((inner, key) => partOf(inner, key, `${file} ${name}`), named(file, first));
  return numberOf(file, value, name);
}

function named(file: string, name: string): ts.Expression {
  for (const statement of sourceOf(file).statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name: declared, initializer } of statement.declarationList.declarations) {
      if (ts.isIdentifier(declared) && declared.text === name && initializer !== undefined) return initializer;
    }
  }
  throw new Error(`${file} has no constant ${name}: correct scripts/bounds.ts`);
}

function sourceOf(file: string): ts.SourceFile {
  const known = parsed.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(fileURLToPath(new URL(file, root)), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  parsed.set(file, source);
  return source;
}

function partOf(outer: ts.Expression, key: string, what: string): ts.Expression {
  const value = bare(outer);
  if (ts.isObjectLiteralExpression(value)) {
    for (const property of value.properties) {
      if (!ts.isPropertyAssignment(property)) continue;
      const { name } = property;
      if ((ts.isIdentifier(name) || ts.isStringLiteral(name)) && name.text === key) return property.initializer;
    }
  }
  // A list, or the arguments of a call.
  const items = ts.isArrayLiteralExpression(value) ? value.elements : ts.isCallExpression(value) ? value.arguments : [];
  const item = items[Number(key)];
  if (item === undefined) throw new Error(`${what}: there is no part ${key}: correct scripts/bounds.ts`);
  return item;
}

function numberOf(file: string, expression: ts.Expression, what: string): number {
  const value = bare(expression);
  if (ts.isNumericLiteral(value)) return Number(value.text);
  if (ts.isIdentifier(value)) return numberOf(file, named(file, value.text), what);
  if (ts.isBinaryExpression(value)) {
    const operator = OPERATORS.get(value.operatorToken.kind);
    if (operator !== undefined) return operator(numberOf(file, value.left, what), numberOf(file, value.right, what));
  }
  throw new Error(`${file}: ${what} is not made of numbers alone: correct scripts/bounds.ts`);
}

/** Without `as const` and brackets. */
function bare(expression: ts.Expression): ts.Expression {
  return ts.isAsExpression(expression) || ts.isParenthesizedExpression(expression)
    ? bare(expression.expression)
    : expression;
}
