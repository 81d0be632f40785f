// `npm run surface`: adds what is new to the list of everything that users, scripts and agents name. What would break them is
// named and nothing is written, save with `--accept-removals`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareSurfaces } from "./compare-surface.ts";
import { describeSurface, type Surface } from "./describe-surface.ts";

const place = join(import.meta.dirname, "..", "test", "fixtures", "surface.json");
const now = describeSurface();
const { broken, added } = compareSurfaces(JSON.parse(readFileSync(place, "utf8")) as Surface, now);

if (broken.length > 0 && !process.argv.includes("--accept-removals")) {
  process.stderr.write(
    `This would break those who use these names; nothing was written.\n${broken.map((line) => `- ${line}\n`).join("")}` +
      "Bring them back, or accept it with: npm run surface -- --accept-removals\n",
  );
  process.exitCode = 1;
} else {
  writeFileSync(place, `${JSON.stringify(now, null, 1)}\n`);
  process.stdout.write(
    `${added.length} names or fields added or changed, ${broken.length} gone.\n`,
  );
}
