export { assertLoopback, call, stream } from "./loopback-client.ts";
export type { LoopbackReply, LoopbackRequest, LoopbackServer } from "./loopback-client.ts";
export type { LoopbackEvent } from "./read-events.ts";
export {
  isProcessAlive,
  readServerFile,
  removeServerFile,
  writeServerFile,
} from "./server-file.ts";
export { createOutgoing } from "./outgoing-client.ts";
export type { OutgoingOptions } from "./outgoing-client.ts";
export type { OutgoingRequest } from "./outgoing-request.ts";
export { createPost } from "./post.ts";
