/** The table of docs/reference/peek-api.md, made from the endpoints in the code. */
import type { PeekEndpoint } from "../src/peek/peek.ts";
import { CLIENT_EVERY } from "../src/http/client-paths.ts";

const BLOCK = /(<!-- generated: endpoints -->\n)[^]*?(<!-- end -->)/;

/** The page with its table as the endpoints have it; what stands around it is as it was. */
export function peekPage(page: string, endpoints: readonly PeekEndpoint[]): string {
  if (!BLOCK.test(page))
    throw new Error("docs/reference/peek-api.md has no place for its table: <!-- generated: endpoints -->");
  const rows = endpoints.map(({ method, path, under, note }) => {
    const prefix = under === CLIENT_EVERY ? "" : (under[0] ?? "");
    return [method, `\`${prefix}${path}\``, note].map((cell) => ` ${cell.replaceAll("|", "\\|")} `).join("|");
  });
  const table = [" method | path | what is done here ", "---|---|---", ...rows].map((row) => `|${row}|`).join("\n");
  return page.replace(BLOCK, (_block, begin: string, end: string) => `${begin}\n${table}\n\n${end}`);
}
