/** The tables of docs/reference/admin-api.md, made from the API's own description of itself (openapi.json). */
import { openApi, type JsonSchema, type OpenApi, type Operation } from "../src/admin/api/openapi.ts";

const BLOCK = /(<!-- generated: (endpoints|requests|objects) -->\n)[^]*?(<!-- end -->)/g;

/** The page with its tables as the endpoints have them; what stands around them is as it was. */
export function adminPage(page: string, api: OpenApi = openApi("")): string {
  const blocks: Readonly<Record<string, string>> = {
    endpoints: endpointTable(api),
    requests: operationsOf(api)
      .filter(({ operation }) => operation.security === undefined)
      .map(requestSection)
      .join("\n\n"),
    objects: Object.entries(api.components.schemas)
      .map(([name, schema]) => `### ${name}\n\n${keyTable(schema)}`)
      .join("\n\n"),
  };
  const found = new Set<string>();
  const renewed = page.replace(BLOCK, (_block, begin: string, name: string, end: string) => {
    found.add(name);
    return `${begin}\n${blocks[name] ?? ""}\n\n${end}`;
  });
  const missing = Object.keys(blocks).filter((name) => !found.has(name));
  if (missing.length > 0) throw new Error(`docs/reference/admin-api.md has no place for its ${missing.join(", ")}`);
  return renewed;
}

interface Named {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

function operationsOf({ paths }: OpenApi): readonly Named[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{(\w+)\}/g, ":$1"),
      operation,
    })),
  );
}

function endpointTable(api: OpenApi): string {
  const rows = operationsOf(api).map(({ method, path, operation }) => [
    method,
    `\`${path}\``,
    operation.security === undefined ? "yes" : "no",
    operation.summary,
  ]);
  return table(["method", "path", "token", "what it does"], rows);
}

function requestSection({ method, path, operation }: Named): string {
  const query = operation.parameters.filter((one) => one.in === "query");
  const body = operation.requestBody?.content["application/json"]?.schema;
  const answer = Object.values(operation.responses[200]?.content ?? {})[0]?.schema ?? {};
  return [
    `### ${method} ${path}`,
    ...(query.length === 0
      ? []
      : [
          table(
            ["query", "type", "meaning"],
            query.map(({ name, schema, description = "" }) => [`\`${name}\``, typeOf(schema), description]),
          ),
        ]),
    ...(body === undefined ? [] : described("body", body)),
    ...described("answer", answer),
  ].join("\n\n");
}

/** A table where there are keys of its own, else the type in a line. */
function described(what: string, schema: JsonSchema): string[] {
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined) return variants.flatMap((one) => described(`${what}, one of`, one));
  if (schema.properties !== undefined) return [keyTable(schema, what)];
  const type = typeOf(schema);
  return type === "anything" ? [] : [`${what.charAt(0).toUpperCase()}${what.slice(1)}: ${type}.`];
}

function keyTable(schema: JsonSchema, what = "key"): string {
  const variants = schema.oneOf ?? schema.anyOf ?? [schema];
  const tables = variants.map((variant) =>
    table(
      [what, "type", "meaning"],
      rowsOf(variant).map(([name, type, meaning]) => [`\`${name}\``, type, meaning]),
    ),
  );
  return tables.join("\n\nor\n\n");
}

/** The keys of an object, with those of objects and lists inside it that have no name of their own. */
function rowsOf(schema: JsonSchema, prefix = ""): [string, string, string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): [string, string, string][] => {
    const inner = value as JsonSchema;
    const isOptional = !(schema.required ?? []).includes(key);
    const optional = isOptional && inner.default === undefined ? ", or missing" : "";
    const meaning = [
      ...(inner.description === undefined ? [] : [inner.description]),
      ...(inner.default === undefined ? [] : [`\`${JSON.stringify(inner.default)}\` without it`]),
    ];
    const own = [`${prefix}${key}`, `${typeOf(inner)}${optional}`, meaning.join("; ")] as const;
    const { at, object } = insideOf(inner);
    return [[...own], ...rowsOf(object, `${prefix}${key}${at}.`)];
  });
}

/** The nameless object that a schema is, or is a list of. */
function insideOf(schema: JsonSchema): { readonly at: string; readonly object: JsonSchema } {
  const some = withoutNull(schema);
  if (some.length === 1 && some[0] !== schema) return insideOf(some[0] ?? {});
  if (schema.type === "array") return { at: "[]", object: insideOf((schema.items ?? {}) as JsonSchema).object };
  return { at: "", object: schema.properties === undefined ? {} : schema };
}

function typeOf(schema: JsonSchema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${String(one)}\``).join(", ");
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants !== undefined) return variants.map((one) => typeOf(one)).join(" or ");
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  if (schema.type === "array") return `list of ${typeOf((schema.items ?? {}) as JsonSchema)}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object" && schema.properties === undefined) {
    const values = typeOf(schema.additionalProperties);
    return values === "anything" ? "object" : `object of ${values}`;
  }
  return (schema.type as string | undefined) ?? "anything";
}

function withoutNull(schema: JsonSchema): readonly JsonSchema[] {
  const variants = schema.anyOf ?? [schema];
  return variants.filter(({ type }) => type !== "null");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
