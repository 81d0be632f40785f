import { element } from "./elements.js";

/** Deepest nesting shown; what is deeper, or refers to itself, is named. */
const deepest = 6;

/** A JSON Schema as a list of its fields. `components` are the document's schemas, to which references point. */
export function schemaFields(schema, components, seen = []) {
  const { schema: plain, names } = follow(schema, components, seen);
  if (plain === null || seen.length > deepest) return null;
  if (plain.type === "array") return schemaFields(plain.items ?? {}, components, names);
  const shapes = (plain.anyOf ?? plain.oneOf ?? plain.allOf ?? []).filter(
    (shape) => shape.type !== "null",
  );
  if (shapes.length > 0) {
    const lists = shapes.map((shape) => schemaFields(shape, components, names));
    const found = lists.filter((list) => list !== null);
    return found.length === 0 ? null : element("div", {}, ...found);
  }
  const fields = Object.entries(plain.properties ?? {});
  if (fields.length === 0) return null;
  const required = new Set(plain.required ?? []);
  return element(
    "ul",
    { class: "fields" },
    ...fields.map(([name, field]) =>
      element(
        "li",
        {},
        element("code", {}, name),
        ` ${typeName(field, components)}${required.has(name) ? "" : ", optional"}${limits(field)}`,
        description(field),
        schemaFields(field, components, [...names, name]),
      ),
    ),
  );
}

function follow(schema, components, seen) {
  if (typeof schema !== "object") return { schema: null, names: seen };
  if (schema.$ref === undefined) return { schema, names: seen };
  const name = schema.$ref.split("/").at(-1);
  if (seen.includes(`#${name}`)) return { schema: null, names: seen };
  return { schema: components[name] ?? null, names: [...seen, `#${name}`] };
}

/** What a value may be, in a few words. */
export function typeName(schema, components, depth = 0) {
  if (typeof schema !== "object" || depth > deepest) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return depth > 1 ? name : typeName(components[name] ?? {}, components, depth + 1);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const shapes = schema.anyOf ?? schema.oneOf;
  if (shapes)
    return [...new Set(shapes.map((shape) => typeName(shape, components, depth + 1)))].join(" | ");
  if (schema.type === "array")
    return `list of ${typeName(schema.items ?? {}, components, depth + 1)}`;
  return schema.type ?? "anything";
}

function limits(schema) {
  if (typeof schema !== "object") return "";
  const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema;
  const range = (from, to, unit) => {
    if (from === undefined && (to === undefined || to >= Number.MAX_SAFE_INTEGER)) return "";
    const least = from === undefined || from <= Number.MIN_SAFE_INTEGER ? "" : `${from}`;
    const most = to === undefined || to >= Number.MAX_SAFE_INTEGER ? "" : `${to}`;
    return least === "" && most === "" ? "" : `, ${least || "…"} to ${most || "…"}${unit}`;
  };
  const standard =
    schema.default === undefined ? "" : `, default ${JSON.stringify(schema.default)}`;
  return `${range(minimum, maximum, "")}${range(minLength, maxLength, " characters")}${range(minItems, maxItems, " items")}${standard}`;
}

function description(schema) {
  return typeof schema === "object" && schema.description
    ? element("span", { class: "muted" }, ` · ${schema.description}`)
    : null;
}
