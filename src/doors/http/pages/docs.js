import { callApi, ProblemError } from "./call-api.js";
import { element, problemPanel } from "./elements.js";
import { schemaFields, typeName } from "./show-schema.js";

const find = (id) => document.getElementById(id);

async function start() {
  try {
    const api = await callApi("GET", "/api/v1/openapi.json");
    const groups = api.tags.map(({ name }) => group(api, name));
    find("operations").replaceChildren(...groups);
    find("filter").hidden = false;
    find("wanted").addEventListener("input", () => filter(find("wanted").value));
    filter("");
  } catch (thrown) {
    if (!(thrown instanceof ProblemError)) throw thrown;
    const { problem } = thrown;
    find("status").textContent =
      problem.status === 401
        ? "Sign in first: open the address that `candor serve` printed, then come back."
        : "";
    if (problem.code !== "authentication_required")
      find("problem").replaceChildren(problemPanel(problem));
  }
}

function operationsOf(api, tag) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
}

function group(api, tag) {
  return element(
    "section",
    { "aria-label": tag },
    element("h2", {}, tag),
    ...operationsOf(api, tag).map((entry) => details(api, entry)),
  );
}

function details(api, { path, method, operation }) {
  const { schemas } = api.components;
  const body = operation.requestBody?.content ?? {};
  const answers = Object.entries(operation.responses).filter(([status]) => status !== "default");
  return element(
    "details",
    { class: "operation", id: operation.operationId },
    element(
      "summary",
      {},
      element("span", { class: "method" }, method),
      element("code", {}, path),
      element("span", { class: "muted" }, operation.summary),
    ),
    element(
      "div",
      {},
      element("p", {}, element("code", {}, operation.operationId), ` · ${operation.description}`),
      parameterTable(operation.parameters, schemas),
      ...Object.entries(body).flatMap(([type, { schema }]) => [
        element("h3", {}, `Body, ${type}`),
        schemaFields(schema, schemas) ?? element("p", { class: "muted" }, "No fields."),
      ]),
      ...answers.flatMap(([status, { description, content }]) =>
        answer(status, description, content, schemas),
      ),
    ),
  );
}

function parameterTable(parameters, schemas) {
  if (parameters.length === 0) return null;
  const rows = parameters.map((parameter) => {
    const schema = parameter.schema ?? parameter.content["application/json"].schema;
    return element(
      "tr",
      {},
      element("td", {}, element("code", {}, parameter.name)),
      element("td", {}, parameter.in),
      element("td", {}, `${typeName(schema, schemas)}${parameter.required ? "" : ", optional"}`),
      element("td", {}, parameter.description ?? ""),
    );
  });
  const titles = ["Parameter", "In", "Type", "Meaning"];
  return element(
    "table",
    {},
    element(
      "thead",
      {},
      element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title))),
    ),
    element("tbody", {}, ...rows),
  );
}

function answer(status, description, content, schemas) {
  return Object.entries(content).flatMap(([type, { schema }]) => [
    element("h3", {}, `${status}, ${type}`),
    element("p", { class: "muted" }, description),
    schemaFields(schema, schemas),
  ]);
}

/** Shows the operations that hold every word of `text` in their name, path or summary. */
function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of find("operations").children) {
    for (const entry of section.querySelectorAll("details")) {
      const content = `${entry.id} ${entry.querySelector("summary").textContent}`.toLowerCase();
      entry.hidden = !words.every((word) => content.includes(word));
      if (!entry.hidden) count += 1;
    }
    section.hidden = section.querySelectorAll("details:not([hidden])").length === 0;
  }
  find("status").textContent = `${count} ${count === 1 ? "operation" : "operations"}`;
}

void start();
