import { stringify } from "yaml";
import { z } from "zod";
import { isServerName } from "../src/model/ids.ts";
import { makeRegistration, renderRegistration, SAMPLE_TOKENS } from "../src/platform/registration.ts";
import { sections } from "../src/platform/config/sections.ts";
import { innerOf } from "../src/platform/config/values.ts";

const HEADING = `Every key of Emissary's configuration with its default. What is marked as required has none; its value here is an
example. \`emissary register\` writes an emissary.yaml with the required ones; copy others from here as you need them.

Durations and sizes carry their unit: 500ms, 30s, 10m, 24h, 7d; 512KiB, 100MiB, 1GiB. Addresses to listen on are
host:port, IPv6 in brackets, port 0 for any free one.

Secrets may come from the environment, which goes before the files: EMISSARY_ADMIN_TOKEN, EMISSARY_AS_TOKEN,
EMISSARY_HS_TOKEN and EMISSARY_HOMESERVER_ADMIN_TOKEN, or each with _FILE added, naming a file that holds the secret.

Generated from the code by \`npm run sample\`.`;

const WIDTH = 110;

export function sampleConfig(): string {
  const blocks = Object.entries(sections).map(([name, section]) => {
    const keys = Object.entries(section.shape as Record<string, z.ZodType>).map(([key, schema]) =>
      sampleKey(key, schema),
    );
    return [...comment(describe(section), ""), `${name}:`, ...keys.flat()].join("\n");
  });
  const heading = HEADING.split("\n").map((line) => `# ${line}`.trimEnd());
  return `${[heading.join("\n"), ...blocks].join("\n\n")}\n`;
}

/** Returns the text of the sample registration.yaml. Loading refuses its tokens. */
export function sampleRegistration(): string {
  const serverName = example(sections.homeserver.shape.server_name);
  const url = example(sections.appservice.shape.url);
  if (serverName === undefined || !isServerName(serverName) || url === undefined)
    throw new Error("the samples lack their example");
  return renderRegistration(
    makeRegistration({ url, serverName, localpart: "", tokens: SAMPLE_TOKENS }),
    "A sample of what `emissary register` writes, with tokens that `emissary run` refuses.\n" +
      "Generated from the code by `npm run sample`.",
  );
}

function sampleKey(key: string, schema: z.ZodType): string[] {
  const value = schema instanceof z.ZodPrefault ? schema.def.defaultValue : example(schema);
  const optional = innerOf(schema) !== null;
  const note = comment(`${describe(schema)}${optional ? "" : " Required."}`, "  ");
  // A key without default and example appears alone, commented out.
  if (value === undefined) return [...note, `  # ${key}:`];
  const lines = stringify({ [key]: value })
    .trimEnd()
    .split("\n");
  return [...note, ...lines.map((line) => `  ${line}`)];
}

function describe(schema: z.ZodType): string {
  if (schema.description === undefined) throw new Error("a key of the configuration lacks its sentence for the manual");
  return schema.description;
}

function example(schema: z.ZodType): string | undefined {
  const examples = schema.meta()?.["examples"];
  return Array.isArray(examples) && typeof examples[0] === "string" ? examples[0] : undefined;
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
