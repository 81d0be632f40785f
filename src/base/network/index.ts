export { assertLoopback, call, stream } from "./loopback-client.ts";
export type { LoopbackReply, LoopbackRequest, LoopbackServer } from "./loopback-client.ts";
export type { LoopbackEvent } from "./read-events.ts";
export {
  isProcessAlive,
  readServerFile,
  removeServerFile,
  writeServerFile,
} from "./server-file.ts";
