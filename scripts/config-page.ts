/** The table of docs/reference/config.md, made from the schemas in the code. */
import { z } from "zod";
import { sections } from "../src/platform/config/sections.ts";
import { expectationOf, innerOf } from "../src/platform/config/values.ts";

const BLOCK = /(<!-- generated: keys -->\n)[^]*?(<!-- end -->)/;

/** Returns the page with its table made anew. @throws Error if the page has no place for it */
export function configPage(page: string): string {
  if (!BLOCK.test(page))
    throw new Error("docs/reference/config.md has no place for its table: <!-- generated: keys -->");
  const rows = Object.entries(sections).flatMap(([name, section]) =>
    Object.entries(section.shape as Record<string, z.ZodType>).map(([key, schema]) => [
      `\`${name}.${key}\``,
      defaultOf(schema),
      expectationOf(schema)?.expected ?? "",
      schema.description ?? "",
    ]),
  );
  const lines = [["key", "default", "expected", "meaning"], ["---", "---", "---", "---"], ...rows].map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`,
  );
  return page.replace(BLOCK, (_block, begin: string, end: string) => `${begin}\n${lines.join("\n")}\n\n${end}`);
}

function defaultOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodPrefault)
    return `\`${JSON.stringify(schema.def.defaultValue).replace(/^"(.+)"$/, "$1")}\``;
  return innerOf(schema) === null ? "required" : "none";
}
