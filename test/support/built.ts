/** Once before a suite that runs bin/emissary: dist is what src is. */
import { build } from "../../scripts/build.ts";

export default async function setup(): Promise<void> {
  const { ok, output } = await build();
  if (!ok) throw new Error(`The program does not build:\n${output}`);
}
