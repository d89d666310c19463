/** The patch of Synapse (homeservers/synapse-peekable) apart from any server: what it does to the source, and the rules that come of it. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureSynapse } from "../../homeservers/synapse/environment.ts";
import { describePatched, findPeekablePython } from "../support/peekable-synapse.ts";

const ROOT = path.dirname(path.dirname(import.meta.dirname));
const FOLDER = path.join(ROOT, "homeservers", "synapse-peekable");
const run = promisify(execFile);

const stock = process.env["EMISSARY_SYNAPSE_PYTHON"] ?? (await ensureSynapse()).python;
const patched = await findPeekablePython();

interface Edit {
  readonly file: string;
  readonly above: string;
  readonly text: string;
  readonly below: string;
}

describe("patching a source tree", () => {
  let tree: string;
  let edits: readonly Edit[];
  beforeEach(async () => {
    const asJson = "import json, edits; print(json.dumps([vars(edit) for edit in edits.EDITS]))";
    edits = JSON.parse((await run(stock, ["-B", "-c", asJson], { cwd: FOLDER })).stdout) as Edit[];
    tree = await mkdtemp(path.join(tmpdir(), "emissary-patch-"));
    // A source that has the anchors and nothing else.
    for (const file of new Set(edits.map((edit) => edit.file))) {
      const anchors = edits.filter((edit) => edit.file === file).map(({ above, below }) => above + below);
      await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
      await writeFile(path.join(tree, file), [...new Set(anchors)].join("\n# more\n"));
    }
  });
  afterEach(() => rm(tree, { recursive: true, force: true }));

  const patch = (): Promise<unknown> => run(stock, ["-B", path.join(FOLDER, "build.py"), "--patch", tree]);
  /** Every file with its text. */
  const contents = async (): Promise<[string, string][]> => {
    const entries = await readdir(tree, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    const read = async (file: string): Promise<[string, string]> => [file, await readFile(file, "utf8")];
    return Promise.all(files.sort().map(read));
  };

  it("inserts every edit, and adds the module with the rules", async () => {
    await patch();
    for (const { file, text } of edits) expect(await readFile(path.join(tree, file), "utf8")).toContain(text);
    expect(await readFile(path.join(tree, "synapse", "msc1777.py"), "utf8")).toContain("def check_pseudouser_may_join");
  });

  it.each([
    ["is gone", (text: string, anchor: string): string => text.replace(anchor, "")],
    ["is there twice", (text: string, anchor: string): string => text + anchor],
  ])("changes nothing where an anchor %s, and names file and anchor", async (_what, change) => {
    const { file, above, below } = edits.at(-1) as Edit;
    const at = path.join(tree, file);
    await writeFile(at, change(await readFile(at, "utf8"), above + below));
    const before = await contents();
    const refused = await patch().then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: 1 });
    const { stderr } = refused as { stderr: string };
    expect(stderr).toContain("nothing was changed");
    expect(stderr).toContain(file);
    expect(stderr).toContain((above + below).trimEnd());
    expect(await contents()).toEqual(before);
  });

  it("does not patch a second time", async () => {
    await patch();
    const before = await contents();
    await expect(patch()).rejects.toMatchObject({ code: 1 });
    expect(await contents()).toEqual(before);
  });

  it("is for the release that the stock servers of the tests run", async () => {
    const pin = async (file: string): Promise<string | undefined> =>
      /^matrix-synapse==(\S+)/m.exec(await readFile(path.join(ROOT, "homeservers", file), "utf8"))?.[1];
    expect(await pin("synapse-peekable/sdist.txt")).toBe(await pin("synapse/requirements.txt"));
  });
});

describePatched("the patched Synapse's own authorization, redaction and visibility", patched, (python) => {
  it("agrees with every test vector of the room version", async () => {
    const args = ["-B", path.join(FOLDER, "vectors.py"), path.join(ROOT, "vectors", "msc1777")];
    const { stdout } = await run(python, args, { maxBuffer: 64 * 1024 * 1024 });
    const results = JSON.parse(stdout) as { file: string; name: string; expect: unknown; got: unknown }[];
    expect(results.length).toBeGreaterThan(0);
    const wanted = results.map(({ file, name, expect: is }) => ({ file, name, is }));
    expect(results.map(({ file, name, got: is }) => ({ file, name, is }))).toEqual(wanted);
  });
});
