import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { keySchemaFields } from "./key-schema.ts";

export const keysList = defineOperation({
  name: "keys.list",
  summary: "List your API keys, as an admin all of them",
  input: z.strictObject(pageInput),
  output: pageOutput(z.object(keySchemaFields)),
  effect: "read",
  permission: { role: "api_user", own: { all: "admin" } },
  http: { method: "GET", path: "/keys" },
  cli: { command: "keys" },
  run: async (call) => {
    const { principal, app } = call;
    if (!principal) throw new AuthenticationRequiredError("Keys are listed for somebody.");
    return readPage(
      "keys.list",
      call,
      ({ id }) => id,
      (after, limit) => app.access.keys.list(principal, { after, limit }),
    );
  },
});
