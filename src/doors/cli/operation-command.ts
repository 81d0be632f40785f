import { coerceStrings } from "#operations/index.ts";
import type { Operation } from "#operations/index.ts";
import type { Job } from "#base/jobs/index.ts";
import { askSecrets } from "./ask-secrets.ts";
import { one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { exitOfAnswer, exitOfJob, type Exit } from "./exit-codes.ts";
import { followJob } from "./follow-job.ts";
import { inputSchema, parsePattern, toParameters } from "./parameters.ts";
import { renderAnswer } from "./render-answer.ts";
import { renderFailure, renderJob } from "./render-outcome.ts";
import { follow, sayNotice, send, type Answer, type Fields } from "./send.ts";

/** `--no-wait` of every command that starts a job. */
export const waitParameter = parameter(
  "wait",
  "Answer with the job at once instead of following it to its end",
  { kind: "switch", standard: "true" },
);

/** The command of an operation, as its definition says. */
export function operationCommand(operation: Operation): CliCommand {
  const isJob = operation.http?.answer === "job";
  return {
    words: parsePattern(operation.cli?.command ?? "").words,
    summary: operation.summary,
    parameters: [...toParameters(operation), ...(isJob ? [waitParameter] : [])],
    kind: "operation",
    operation,
    run: (context, typed) => runOperationCommand(context, operation, typed),
  };
}

async function runOperationCommand(
  context: Context,
  operation: Operation,
  typed: Typed,
): Promise<Exit> {
  const secrets = await askSecrets(context, operation, typed);
  const fields = { ...toFields(operation, typed), ...secrets };
  switch (operation.http?.answer ?? "object") {
    case "stream":
      return printEvents(context, operation, fields);
    case "job":
      return runJobCommand(context, await send(context, operation, fields), typed);
    case "created":
    case "object": {
      const answer = await send(context, operation, fields);
      print(context, answer, (output) => renderAnswer(operation, answer as Answer, output));
      const isUnwell = operation.name === "system.health" && statusOf(answer) === "failed";
      return isUnwell ? "failed" : exitOfAnswer(answer);
    }
  }
}

/** The input of an operation out of what was typed: texts in the types that its schema names. */
export function toFields(operation: Operation, typed: Typed): Fields {
  const secrets = new Set(
    toParameters(operation).flatMap(({ field, secret }) => (secret ? [field] : [])),
  );
  const fields = Object.entries(typed).filter(
    ([field]) => !secrets.has(field) && !(field === "wait" && operation.http?.answer === "job"),
  );
  return coerceStrings(inputSchema(operation), Object.fromEntries(fields));
}

/** Follows the job of an answer, unless `--no-wait` was typed, and prints how it ended. */
export async function runJobCommand(
  context: Context,
  answer: Answer | string,
  typed: Typed,
): Promise<Exit> {
  const { job, ...beside } = answer as Answer & { job: Job };
  if (one(typed, "wait") === "false") {
    print(context, answer, () => `job ${job.id} is ${job.state}: candor jobs show ${job.id}`);
    if (context.session().ownsEngine())
      sayNotice(context, "no server runs: the job goes on when Candor runs again (candor serve)");
    return "ok";
  }
  const ended = await followJob(context, job);
  print(context, { job: ended, ...bulkOf(ended), ...beside }, (output) => renderJob(ended, output));
  if (ended.error !== null)
    context.terminal.err.line(renderFailure(ended.error, null, context.terminal.err));
  return exitOfJob(ended);
}

/** The answer on standard output: its JSON and nothing else with `--json`, else for people. */
export function print(
  { terminal: { out }, json }: Context,
  answer: unknown,
  render: (output: Context["terminal"]["out"]) => string,
): void {
  if (typeof answer === "string") out.line(answer.replace(/\n$/, ""));
  else if (json) out.line(JSON.stringify(answer, null, out.isTerminal ? 2 : 0));
  else out.line(render(out));
}

async function printEvents(context: Context, operation: Operation, fields: Fields): Promise<Exit> {
  const { out } = context.terminal;
  for await (const { event, id, data } of follow(context, operation, fields))
    out.line(
      context.json
        ? JSON.stringify({ event, sequence: id === null ? null : Number(id), data })
        : `${out.style("bold", event)} ${JSON.stringify(data)}`,
    );
  return "ok";
}

/** A bulk answer inside the job's result, as waiting over HTTP gives it. */
function bulkOf({ result }: Job): object {
  if (typeof result !== "object" || result === null) return {};
  const { items, errors } = result as { items?: unknown; errors?: unknown };
  return Array.isArray(items) && Array.isArray(errors) ? result : {};
}

function statusOf(answer: Answer | string): unknown {
  return typeof answer === "string" ? null : answer["status"];
}
