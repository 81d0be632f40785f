import type { z } from "zod";
import type { Access, Permission, Principal } from "#base/access/index.ts";
import type { Configuration } from "#base/config/index.ts";
import type { CollectionRow, Database, Scope } from "#base/database/index.ts";
import type { Notice } from "#base/errors/index.ts";
import type { Jobs, JobScope } from "#base/jobs/index.ts";
import type { Audit, Ledger } from "#base/ledger/index.ts";
import type { Logger, Metrics, Traces } from "#base/telemetry/index.ts";
import type { Embeddings } from "#engine/embeddings/index.ts";
import type { Overview } from "#workbench/overview/index.ts";
import type { Search } from "#workbench/search/index.ts";

/** The rooms that operations call; app.ts builds them. */
export type App = {
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly database: Database;
  readonly ledger: Ledger;
  readonly audit: Audit;
  readonly access: Access;
  readonly jobs: Jobs;
  readonly embeddings: Embeddings;
  readonly search: Search;
  readonly overview: Overview;
  /** Every operation there is, for the one that lists them. */
  readonly catalogue: readonly Operation[];
};

/** What an operation's `run` is given: checked input, the caller and its reach. */
export type Call<Input> = {
  readonly input: Input;
  readonly app: App;
  readonly principal: Principal | null;
  /** What the caller may read and write; pushed into every query for owned rows. */
  readonly scope: Scope;
  /** Whose things count as the caller's own, for operations with `own`. */
  readonly own: JobScope;
  /** The collection named by the input, found and allowed, for operations with a grant on one. */
  readonly collection: CollectionRow | null;
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** Adds a remark to the successful answer. */
  readonly notice: (notice: Notice) => void;
  /** Names the thing that is acted on, for the audit, where the input does not name it. */
  readonly target: (type: string, id: string) => void;
  /** Hands a session secret to the door, for its cookie. */
  readonly openSession: (secret: string, expiresAt: number) => void;
  /** Tells the door that the cookie's session is over. */
  readonly endSession: () => void;
};

/** How one operation appears as a tool of agents; data only. */
export type ToolEntry = {
  readonly name: string;
  readonly fixed?: Readonly<Record<string, unknown>>;
  readonly rename?: Readonly<Record<string, string>>;
  readonly pick?: readonly string[];
  readonly defaults?: Readonly<Record<string, unknown>>;
};

export type HttpPlace = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below /api/v1 unless `root`; `:name` takes the input field of that name. */
  readonly path: string;
  readonly root?: true;
  readonly body?: "multipart";
  readonly answer?: "created" | "job" | "stream";
};

/** One user-visible action, offered by every door. Streams yield events instead of answering once. */
export type Operation<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> = {
  readonly name: string;
  readonly summary: string;
  readonly input: Input;
  readonly output: Output;
  readonly effect: "read" | "write" | "destroy";
  readonly permission: Permission;
  readonly http: HttpPlace | null;
  /** `noun verb <required> [optional]`: words in brackets are input fields, all other fields are options. */
  readonly cli: { readonly command: string } | null;
  readonly tools?: readonly ToolEntry[];
  run(
    call: Call<z.output<Input>>,
  ): Promise<z.input<Output>> | AsyncGenerator<StreamEvent<z.input<Output>>>;
};

/** An event of a streaming operation; `data` has the output's shape. */
export type StreamEvent<Data> = {
  readonly event: string;
  readonly sequence: number;
  readonly data: Data;
};

/** Defines one operation; the definition is its whole contract. */
export function defineOperation<Input extends z.ZodType, Output extends z.ZodType>(
  operation: Operation<Input, Output>,
): Operation<Input, Output> {
  return operation;
}
