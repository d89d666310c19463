/** The table of docs/reference/act-api.md, made from the endpoints in the code. */
import type { Endpoint } from "../src/tenants/act/act.ts";

const BLOCK = /(<!-- generated: endpoints -->\n)[^]*?(<!-- end -->)/;

/** The page with its table as the endpoints have it; what stands around it is as it was. */
export function actPage(page: string, endpoints: readonly Endpoint[]): string {
  if (!BLOCK.test(page))
    throw new Error("docs/reference/act-api.md has no place for its table: <!-- generated: endpoints -->");
  const rows = endpoints.map(({ method, path, under, how, note }) =>
    [method, `\`${under?.[0] ?? ""}${path}\``, how, note].map((cell) => ` ${cell.replaceAll("|", "\\|")} `).join("|"),
  );
  const table = [" method | path | by | what it does here ", "---|---|---|---", ...rows]
    .map((row) => `|${row}|`)
    .join("\n");
  return page.replace(BLOCK, (_block, begin: string, end: string) => `${begin}\n${table}\n\n${end}`);
}
