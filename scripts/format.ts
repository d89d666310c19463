/** `npm run format`: writes every file in the house's format. */
import { runTool } from "./tool.ts";

const { ok, output } = await runTool("prettier/bin/prettier.cjs", ["--write", "--log-level", "warn", "."]);
if (output !== "") console.log(output);
process.exitCode = ok ? 0 : 1;
