/** Once before the end-to-end tests: what makes each start of a Synapse quick, for every Python that they run Synapse with. */
import { startForkServer } from "../../homeservers/synapse/fork-server.ts";
import { prepareDatabase } from "../../homeservers/synapse/prepared-database.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const named = [process.env["EMISSARY_SYNAPSE_PYTHON"], process.env["EMISSARY_SYNAPSE_PEEKABLE_PYTHON"]];
  const ends = await Promise.all(
    named
      .filter((python) => python !== undefined)
      .map(async (python) => {
        const end = await startForkServer(python);
        await prepareDatabase(python);
        return end;
      }),
  );
  return async () => {
    await Promise.all(ends.map((end) => end()));
  };
}
