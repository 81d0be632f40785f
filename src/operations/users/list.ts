import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { userSchema } from "./user-schema.ts";

export const usersList = defineOperation({
  name: "users.list",
  summary: "List the users",
  input: z.strictObject(pageInput),
  output: pageOutput(userSchema),
  effect: "read",
  permission: { role: "admin" },
  http: { method: "GET", path: "/users" },
  cli: { command: "users" },
  run: (call) =>
    readPage(
      "users.list",
      call,
      ({ id }) => id,
      (after, limit) => call.app.access.users.list({ after, limit }),
    ),
});
