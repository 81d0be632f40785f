import { openTestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";
import { writeFileSync } from "node:fs";
const door = await openTestDoor(sampleOperations, { flags: { "server.port": 7399 } });
writeFileSync("/tmp/key.txt", (await door.as("api_user"))["authorization"] ?? "");
process.stdout.write(door.url + " " + door.app.access.signIn.issueToken() + "\n");
setInterval(() => {
  process.stdout.write("rss " + Math.round(process.memoryUsage().rss / 1e6) + "\n");
}, 5000);
