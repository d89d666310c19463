/** Finds a Python on this machine that can hold a Synapse. */
import { execFile } from "node:child_process";

const NAMES = ["python3.14", "python3.13", "python3.12", "python3.11", "python3"] as const;
const OLDEST = { major: 3, minor: 11 };

export type Python = { readonly command: string; readonly version: string };

/** Synapse cannot run on this machine, and a person has to do something about it first. */
export class SynapseUnavailable extends Error {
  override readonly name = "SynapseUnavailable";
}

/** The newest fitting one. Linux distributions ship parts of Python apart, so a fitting version alone is not enough. */
export async function findPython(): Promise<Python> {
  const unfit: string[] = [];
  for (const command of NAMES) {
    const answer = await ask(command);
    if (answer === undefined) continue;
    const [version = "", missing = ""] = answer.split(" ");
    const [major = 0, minor = 0] = version.split(".").map(Number);
    if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
      unfit.push(`${command} is ${version}, too old`);
    } else if (missing !== "") {
      unfit.push(`${command} ${version} lacks its module ${missing} (on Debian and Ubuntu: apt install python3-venv)`);
    } else {
      return { command, version };
    }
  }
  const found = unfit.length > 0 ? unfit.join("; ") : `none of ${NAMES.join(", ")} runs`;
  throw new SynapseUnavailable(
    `Synapse needs Python 3.11 or newer with venv, and this machine has none: ${found}. Install Python 3.11 or newer.`,
  );
}

/** Answers "VERSION MISSING_MODULE"; undefined where there is no such command or it is only a stub. */
function ask(command: string): Promise<string | undefined> {
  const program = [
    "import importlib.util as u, platform",
    "missing = [m for m in ('venv', 'ensurepip', 'sqlite3', 'ssl') if u.find_spec(m) is None]",
    "print(platform.python_version(), ','.join(missing))",
  ].join("\n");
  return new Promise((resolve) => {
    execFile(command, ["-c", program], { timeout: 20_000 }, (error, stdout) => {
      resolve(error ? undefined : stdout.trim());
    });
  });
}
