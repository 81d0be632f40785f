import { processEnvironment } from "#base/config/index.ts";
import { exitCodes } from "./exit-codes.ts";
import { listenForInterrupts } from "./interrupts.ts";
import { runCli } from "./run-cli.ts";

const exit = await runCli(
  process.argv.slice(2),
  { flags: {}, environment: processEnvironment(), workingDirectory: process.cwd() },
  listenForInterrupts(() => process.exit(exitCodes.cancelled.code)),
);
process.exitCode = exitCodes[exit].code;
