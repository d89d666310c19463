"use strict";

// matrix-bot-sdk loads this package when it is itself loaded, even where no encryption is asked for. The real one fetches a
// binary from a release page in its install script; where that is out of reach, loading it throws and the SDK with it.
// Loading this one succeeds, and using it says what is missing.
module.exports = new Proxy(
  {},
  {
    get(_target, name) {
      if (name === "__esModule" || typeof name === "symbol") return undefined;
      return class {
        constructor() {
          throw new Error(
            `${String(name)} needs @matrix-org/matrix-sdk-crypto-nodejs, which is left out of this installation: end-to-end encryption is not available here`,
          );
        }
      };
    },
  },
);
