export type { JournalEntry, JournalStore as Journal } from "./store/journal.ts";
