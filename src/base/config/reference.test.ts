import { expect, it } from "vitest";
import { faultCatalogue } from "./faults.ts";
import { renderConfigurationReference } from "./reference.ts";
import { environmentNames, settingsByKey } from "./settings.ts";

it("documents every setting with its names, and every fault", () => {
  const lines = renderConfigurationReference().split("\n");
  for (const [key, setting] of settingsByKey) {
    const row = lines.find((line) => line.startsWith(`| \`${key}\` `)) ?? "";
    expect(row, key).toContain(setting.description);
    expect(row, key).toContain(setting.rule);
    for (const name of environmentNames(key)) expect(row, key).toContain(`\`${name}\``);
  }
  for (const code of Object.keys(faultCatalogue))
    expect(
      lines.filter((line) => line.startsWith(`| \`${code}\` `)),
      code,
    ).toHaveLength(1);
});

it("shows no path of the machine it was made on", () => {
  expect(renderConfigurationReference()).not.toContain(process.cwd());
});

it("names settings as documented", () => {
  expect(environmentNames("server.bodyLimitMegabytes")).toEqual([
    "CANDOR_SERVER_BODY_LIMIT_MEGABYTES",
  ]);
  expect(environmentNames("server.port")).toEqual(["CANDOR_PORT", "CANDOR_SERVER_PORT"]);
});
