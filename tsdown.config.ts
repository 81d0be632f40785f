import { defineConfig } from "tsdown";

/**
 * What is run by name in the published package: the command line, and the modules that worker threads start with.
 * Each lies below `dist/` where it lies below `src/`; `taskUrl` looks for the tasks there.
 */
const entries = [
  "doors/cli/main",
  "engine/runtimes/static-task",
  "workbench/readers/prepare-task",
  "workbench/overview/measure-tables-task",
];

export default defineConfig({
  entry: Object.fromEntries(entries.map((entry) => [entry, `src/${entry}.ts`])),
  outDir: "dist",
  format: "esm",
  platform: "node",
  target: "node24",
  dts: false,
  // Packages stay packages: their own files (grammars, native parts) are found from where they are installed.
  deps: { neverBundle: true },
  outputOptions: { chunkFileNames: "chunks/[name]-[hash].js", entryFileNames: "[name].js" },
  copy: [{ from: "src/doors/http/pages", to: "dist/doors/http" }],
});
