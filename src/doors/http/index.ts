export { openHttp } from "./open-http.ts";
export type { HttpDoor } from "./open-http.ts";
