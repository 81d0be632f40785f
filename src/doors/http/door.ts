import type { Principal } from "#base/access/index.ts";
import type { RequestCourse } from "#base/telemetry/index.ts";
import type { Certificate } from "#base/config/index.ts";
import type { App, Operation } from "#operations/index.ts";
import type { Load } from "./limit-load.ts";
import type { HttpLimits } from "./limits.ts";

/** What every part of the door knows. */
export type Door = {
  readonly app: App;
  readonly operations: readonly Operation[];
  readonly limits: HttpLimits;
  readonly load: Load;
  /** What the door speaks HTTPS with; null: plain HTTP. */
  readonly certificate: Certificate | null;
  /** Where the door listens; the port is the real one once it does. */
  readonly address: { readonly host: string; port: number };
  /** Aborted when the door closes: streams end, waiting requests answer. */
  readonly closing: AbortSignal;
};

declare module "fastify" {
  // eslint-disable-next-line typescript/consistent-type-definitions -- only an interface merges with Fastify's own
  interface FastifyRequest {
    /** Who calls, once the request was identified. */
    principal: Principal | null;
    /** The generation of rights at which the caller was identified. */
    judgedAt: number;
    /** In whose course the request is answered, once its headers were read. */
    course: RequestCourse | null;
  }
}
