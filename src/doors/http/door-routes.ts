import type { FastifyReply } from "fastify";
import { errorCatalogue, NotFoundError } from "#base/errors/index.ts";
import {
  answerFile,
  answerHtml,
  errorListPage,
  errorPage,
  staticFileNames,
} from "./answer-page.ts";
import type { Door } from "./door.ts";
import { cookieName } from "./identify.ts";
import { describeApi } from "./openapi/describe-api.ts";
import { apiPrefix, type Route } from "./routes.ts";

/** What the door answers besides the operations: pages for everybody, the API's description and the metrics for readers. */
export function doorRoutes(door: Door): Route[] {
  return [...pageRoutes(), ...readerRoutes(door)];
}

const everybody = { permission: "public", reads: true } as const;

function pageRoutes(): Route[] {
  const page = (path: string, answer: Route["answer"]): Route => ({
    method: "GET",
    path,
    demand: everybody,
    answer,
  });
  return [
    page("/", (_request, reply) => answerFile(reply, "home.html")),
    page("/docs", (_request, reply) => answerFile(reply, "docs.html")),
    page("/docs/errors", async (_request, reply) => answerHtml(reply, errorListPage())),
    page("/docs/errors/:code", async (request, reply) => {
      const { code } = request.params as { code: string };
      const definition = errorCatalogue.get(code);
      if (!definition)
        throw new NotFoundError(
          `There is no error code "${code.slice(0, 100)}". /docs/errors lists them all.`,
        );
      return answerHtml(reply, errorPage(definition));
    }),
    ...staticFileNames()
      .filter((name) => !name.endsWith(".html"))
      .map((name) => page(`/static/${name}`, (_request, reply) => answerFile(reply, name))),
  ];
}

function readerRoutes(door: Door): Route[] {
  const demand = { permission: { role: "read_only" }, reads: true } as const;
  let description: string | undefined;
  const routes: Route[] = [
    {
      method: "GET",
      path: `${apiPrefix}/openapi.json`,
      demand,
      answer: async (_request, reply) => {
        description ??= JSON.stringify(describeApi(door.operations, cookieName(door)));
        return unstored(reply).type("application/json; charset=utf-8").send(description);
      },
    },
  ];
  if (door.operations.some(({ name }) => name === "system.metrics"))
    routes.push({
      method: "GET",
      path: "/metrics",
      demand,
      watched: true,
      answer: async (_request, reply) =>
        unstored(reply)
          .type("text/plain; version=0.0.4; charset=utf-8")
          .send(await door.app.metrics.prometheus()),
    });
  return routes;
}

function unstored(reply: FastifyReply): FastifyReply {
  return reply.header("cache-control", "no-store");
}
