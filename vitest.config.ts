import { defineConfig } from "vitest/config";

/** Where children and threads of the tests write what they ran; set by scripts/run-tests.ts. */
const childCoverage = process.env["CHILD_COVERAGE"];

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Many tests start a whole Candor: more of them at once than there are cores would only wait for each other.
    maxWorkers: 2,
    reporters: ["default", "./test/closing-line.ts"],
    ...(childCoverage === undefined
      ? {}
      : { env: { NODE_V8_COVERAGE: childCoverage }, setupFiles: ["./scripts/cover-threads.ts"] }),
    coverage: {
      include: ["src/**/*.ts"],
      exclude: ["src/**/*.test.ts"],
      reporter: ["json"],
      reportOnFailure: true,
      reportsDirectory: "coverage/vitest",
    },
  },
});
