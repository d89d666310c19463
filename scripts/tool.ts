/** Runs one of the development tools from node_modules, under the Node that runs this. */
import { spawn } from "node:child_process";
import path from "node:path";

export const ROOT = path.dirname(import.meta.dirname);

export type ToolResult = { readonly ok: boolean; readonly output: string; readonly seconds: number };

/** `script` is a path below node_modules. The output is kept back: most of it is of interest only after a failure. */
export function runTool(script: string, args: readonly string[]): Promise<ToolResult> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(ROOT, "node_modules", script), ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const finish = (ok: boolean): void => {
      resolve({ ok, output: output.trimEnd(), seconds: (performance.now() - startedAt) / 1000 });
    };
    child.once("error", (error) => {
      output += error.message;
      finish(false);
    });
    child.once("close", (code) => finish(code === 0));
  });
}
