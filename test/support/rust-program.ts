import path from "node:path";
import { ensureCompiled, type Compiler, type Program } from "./compiled-program.ts";

const MISSING = "there is no `cargo` command. Install Rust 1.93 or newer (https://rustup.rs), and a C compiler";

/** @param source the folder with its `Cargo.toml`, whose last part is the package's name, and `Cargo.lock` */
export function ensureRustProgram(source: string): Promise<Program> {
  const compiler: Compiler = {
    version: ["cargo", "--version"],
    missing: MISSING,
    ignored: ["target"],
    build: (scratch) => ({
      command: ["cargo", "build", "--locked", "--quiet"],
      env: { CARGO_TARGET_DIR: scratch },
      result: path.join("debug", path.basename(source)),
    }),
  };
  return ensureCompiled(source, compiler);
}
