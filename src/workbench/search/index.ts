export { createSearch } from "./create-search.ts";
export type { Search } from "./create-search.ts";
export { filterOperators } from "./filter.ts";
export { searchModes } from "./query.ts";
