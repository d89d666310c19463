import { z } from "zod";
import { ADMIN_BASE, ADMIN_ENDPOINTS, ADMIN_SCHEMAS } from "./endpoints.ts";
import type { Endpoint } from "./endpoint.ts";

export type JsonSchema = z.core.JSONSchema.BaseSchema;
type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

/** The part of an OpenAPI 3.1 operation that we use. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: JsonSchema;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content: Content }>>;
  readonly security?: readonly [];
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>>; readonly securitySchemes: object };
  readonly [more: string]: unknown;
}

/** Paths that need no token. */
const OPEN: Readonly<Record<string, readonly [note: string, type: string]>> = {
  "/health": ['answers `{"status":"alive"}` while the process runs', "application/json"],
  "/ready": ['answers `{"status":"ready"}`, or 503 with the reason in `error`', "application/json"],
  "/metrics": ["tells the metrics in the Prometheus text format", "text/plain"],
};

const MATRIX_ERROR = {
  type: "object",
  required: ["errcode", "error"],
  properties: {
    errcode: { type: "string" },
    error: { type: "string", description: "a sentence" },
    "org.matrix.msc1777.code": { type: "string", description: "the code of Emissary" },
  },
} as const satisfies JsonSchema;

/** Returns the admin API as an OpenAPI 3.1 document. Its schemas are JSON Schema 2020-12. */
export function openApi(version: string): OpenApi {
  const endpoints = Object.entries<Endpoint>(ADMIN_ENDPOINTS);
  const schemas = schemasOf(endpoints);
  const paths = Map.groupBy(endpoints, ([, { path }]) => path);
  return {
    openapi: "3.1.0",
    info: {
      title: "Emissary's admin API",
      version,
      description:
        "Moments and spans are in milliseconds, moments since the Unix epoch. An answer may have more keys than are named here.",
    },
    security: [{ token: [] }],
    paths: {
      ...Object.fromEntries(
        Object.entries(OPEN).map(([path, [summary, type]]) => [
          path,
          {
            get: { operationId: path.slice(1), summary, parameters: [], responses: responses({}, type), security: [] },
          },
        ]),
      ),
      ...Object.fromEntries(
        [...paths].map(([path, here]) => [
          `${ADMIN_BASE}${path.replace(/:(\w+)/g, "{$1}")}`,
          Object.fromEntries(here.map(([name, one]) => [one.method.toLowerCase(), operation(name, one, schemas)])),
        ]),
      ),
    },
    components: {
      schemas: {
        ...Object.fromEntries(Object.keys(ADMIN_SCHEMAS).map((id) => [id, schemas[id] ?? {}])),
        MatrixError: MATRIX_ERROR,
      },
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "admin.token" } },
    },
  };
}

/** Returns all JSON Schemas by name: ADMIN_SCHEMAS, and the others by their endpoint's name and their role. */
function schemasOf(endpoints: readonly (readonly [string, Endpoint])[]): Readonly<Record<string, JsonSchema>> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(ADMIN_SCHEMAS)) registry.add(schema, { id });
  const inline: [string, z.ZodType][] = endpoints.flatMap(([name, { query, body, answer }]) => [
    [`${name}.answer`, z.object({ it: answer })],
    ...(body === undefined ? [] : [[`${name}.body`, z.object({ it: body.schema })] as [string, z.ZodType]]),
    ...(query === undefined ? [] : [[`${name}.query`, query] as [string, z.ZodType]]),
  ]);
  for (const [id, schema] of inline) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: "input",
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      delete jsonSchema.$schema;
      delete jsonSchema.$id;
      delete jsonSchema.propertyNames;
      // The range of JavaScript's safe integers is no bound of ours.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return schemas;
}

function operation(name: string, one: Endpoint, schemas: Readonly<Record<string, JsonSchema>>): Operation {
  const it = (id: string): JsonSchema => (schemas[id]?.properties?.["it"] ?? {}) as JsonSchema;
  const query = schemas[`${name}.query`] ?? {};
  return {
    operationId: name,
    summary: one.note,
    parameters: [
      ...(one.path.match(/(?<=:)\w+/g) ?? []).map((parameter) => ({
        name: parameter,
        in: "path",
        required: true,
        schema: { type: "string" } as const,
      })),
      ...Object.entries(query.properties ?? {}).map(([parameter, schema]) => {
        const { description = "", ...rest } = schema as JsonSchema;
        return { name: parameter, in: "query", required: false, description, schema: rest };
      }),
    ],
    ...(one.body && { requestBody: { content: { "application/json": { schema: it(`${name}.body`) } } } }),
    responses: responses(it(`${name}.answer`)),
  };
}

function responses(schema: JsonSchema, type = "application/json"): Operation["responses"] {
  const refusal = { "application/json": { schema: { $ref: "#/components/schemas/MatrixError" } } };
  return {
    200: { description: "done", content: { [type]: { schema } } },
    default: { description: "refused, or failed", content: refusal },
  };
}
