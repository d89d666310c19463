import { z } from "zod";
import { wholeNumber } from "./values.ts";

export const policy = z
  .strictObject({
    max_rooms: wholeNumber(1, 1_000_000).prefault(1_000).describe("In how many rooms the pseudouser may be at once."),
    max_members: wholeNumber(1, 10_000_000)
      .prefault(20_000)
      .describe("Rooms with more joined members than this are not joined."),
  })
  .describe("Which rooms the pseudouser may join.");
