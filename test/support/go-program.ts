import { ensureCompiled, type Compiler, type Program } from "./compiled-program.ts";

const GO: Compiler = {
  version: ["go", "version"],
  missing: "there is no `go` command. Install Go 1.26 or newer (https://go.dev/dl/)",
  build: (scratch) => ({
    command: ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", `${scratch}/program`, "."],
    // Without cgo: neither a C compiler nor libolm is needed.
    env: { CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" },
    result: "program",
  }),
};

/** @param source the folder with its `go.mod` */
export function ensureGoProgram(source: string): Promise<Program> {
  return ensureCompiled(source, GO);
}
