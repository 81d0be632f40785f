import { join } from "node:path";
import { databaseFault, hostFault, networkFault, originFault } from "./addresses.ts";
import {
  choice,
  file,
  folder,
  folders,
  integer,
  list,
  onOff,
  secretText,
  text,
  type Setting,
} from "./define-setting.ts";
import {
  collectorFault,
  headerListFault,
  nothingConfigured,
  serviceNameFault,
} from "./trace-export.ts";

/** Every setting there is, by section and key. A setting stands here only when code reads it. */
export const settings = {
  environment: choice(["development", "testing", "production"], {
    standard: "development",
    names: ["CANDOR_ENV"],
    description:
      "What this installation is for; `production` refuses weak secrets and unredacted logs.",
  }),
  storage: {
    home: folder({
      standard: { text: "~/.candor", find: ({ homeFolder }) => join(homeFolder, ".candor") },
      names: ["CANDOR_HOME"],
      description:
        "The data directory: database, settings, logs and everything else that Candor keeps.",
    }),
    roots: folders({
      standard: [],
      absolute: true,
      runtime: true,
      description:
        "Folders of this machine from which principals other than `local` may sync; none by default.",
    }),
    trashDays: integer(1, 90, {
      standard: 7,
      runtime: true,
      description: "How long what was deleted can be restored from the trash, in days.",
    }),
  },
  server: {
    host: text("a host name or an IP address", hostFault, {
      standard: "127.0.0.1",
      description:
        "The address to listen on. Anything but a loopback address is reachable by others.",
    }),
    port: integer(0, 65535, {
      standard: 7340,
      names: ["CANDOR_PORT"],
      description: "The port to listen on; 0 takes any free one.",
    }),
    trustedHosts: list("a list of host names without scheme and port", hostFault, {
      standard: [],
      names: ["TRUSTED_HOSTS"],
      description: "Host names, beside the server's own, under which requests are answered.",
    }),
    bodyLimitMegabytes: integer(1, 100, {
      standard: 16,
      description: "Largest request body, in megabytes.",
    }),
    requestTimeoutSeconds: integer(30, 3600, {
      standard: 300,
      description: "Longest time one operation may take, in seconds.",
    }),
    trustedProxies: list("a list of IP addresses or networks such as 10.0.0.0/8", networkFault, {
      standard: [],
      description:
        "Proxies in front of this server whose X-Forwarded-For is believed; nobody else's is. Rate limits count by the address that they name.",
    }),
    tlsCertificate: file({
      description:
        "The certificate with its chain, as PEM. With server.tlsKey the server speaks HTTPS and nothing else; a changed file is taken into use within a minute.",
    }),
    tlsKey: file({ description: "The private key of the certificate, as PEM, not encrypted." }),
    maxConnections: integer(1, 65535, {
      standard: 1024,
      description: "Connections that are open at the same time; more are refused.",
    }),
  },
  cors: {
    origins: list("a list of origins; `*` is never accepted", originFault, {
      standard: [],
      names: ["CORS_ORIGINS"],
      description:
        "Web pages of other origins that may call this server, such as https://studio.example.org.",
    }),
  },
  security: {
    requestsPerMinute: integer(60, 100_000_000, {
      standard: 1_200_000,
      runtime: true,
      description:
        "Requests that one caller (user, key or `local`) may make in a minute. The default is what one process can answer; a server that many share wants less, such as 6000.",
    }),
    requestsPerMinutePerAddress: integer(10, 1_000_000, {
      standard: 6000,
      runtime: true,
      description:
        "Requests without an accepted credential that one address may make in a minute: pages, signing in, refusals. `/health` is not counted.",
    }),
    failuresPerMinutePerAddress: integer(3, 10_000, {
      standard: 30,
      runtime: true,
      description:
        "Wrong keys, passwords and links that one address may try in a minute; after that, credentials not known to be good are refused without being looked at.",
    }),
    secretKey: secretText("a text of at least 32 characters in production", () => null, {
      names: ["SECRET_KEY"],
      description:
        "Signs sessions and cursors. Without it, development and testing generate one per data directory; production refuses to start.",
    }),
    secretsFile: file({
      names: ["CANDOR_SECRETS_FILE"],
      description:
        "A file of variables that SOPS encrypted for an age key (JSON or dotenv). SOPS_AGE_KEY_FILE or SOPS_AGE_KEY in the environment opens it.",
    }),
    signInMinutes: integer(1, 60, {
      standard: 10,
      description: "How long a printed sign-in link works, in minutes.",
    }),
    sessionHours: integer(1, 168, {
      standard: 12,
      description: "How long a browser stays signed in, in hours.",
    }),
    accessTokenMinutes: integer(5, 1440, {
      standard: 30,
      description: "How long an access token works before it is refreshed, in minutes.",
    }),
    refreshTokenDays: integer(1, 30, {
      standard: 7,
      description: "How long after signing in tokens can be refreshed, in days.",
    }),
    passwordLength: integer(8, 128, {
      standard: 12,
      description: "Fewest characters of a password; one of them is neither letter nor digit.",
    }),
    failedLogins: integer(3, 10, {
      standard: 5,
      description: "Failed logins in a row after which a name is locked.",
    }),
    lockoutMinutes: integer(5, 1440, {
      standard: 30,
      description: "How long a name stays locked after too many failed logins, in minutes.",
    }),
  },
  database: {
    url: secretText("sqlite:FILE, relative to the data directory or absolute", databaseFault, {
      standard: "sqlite:candor.sqlite",
      names: ["DATABASE_URL"],
      description:
        "Where the database is. DATABASE_HOST, DATABASE_PORT, DATABASE_USER, DATABASE_PASSWORD and DATABASE_NAME together build a PostgreSQL address, which is refused until PostgreSQL is built.",
    }),
  },
  logging: {
    level: choice(["trace", "debug", "info", "warn", "error"], {
      standard: "info",
      names: ["LOG_LEVEL"],
      anyCase: true,
      runtime: true,
      description: "The least severe lines that are logged. Upper and lower case are the same.",
    }),
    format: choice(["json", "text"], {
      standard: "json",
      description: "One JSON object per line, or plain text for people.",
    }),
    console: onOff({
      standard: {
        text: "true for `candor serve`, else false",
        find: ({ role }) => role === "server",
      },
      description: "Whether log lines go to standard error.",
    }),
    file: onOff({
      standard: true,
      description: "Whether log lines go to `logs/candor.log` in the data directory.",
    }),
    fileMegabytes: integer(1, 100, {
      standard: 10,
      description: "Size at which the log file is put aside and a new one begun, in megabytes.",
    }),
    files: integer(1, 20, {
      standard: 5,
      description: "Log files put aside that are kept beside the current one.",
    }),
    redaction: onOff({
      standard: true,
      description:
        "Whether secrets are removed from log lines; production refuses to start without.",
    }),
  },
  telemetry: {
    endpoint: text("an http(s) address, or none", collectorFault, {
      standard: nothingConfigured,
      names: ["OTEL_EXPORTER_OTLP_ENDPOINT"],
      description:
        "The OpenTelemetry collector that gets traces, as OTLP in JSON over HTTP at `/v1/traces` below this address. `none`: no traces are made.",
    }),
    tracesEndpoint: text("an http(s) address, or none", collectorFault, {
      standard: nothingConfigured,
      names: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
      description: "The whole address for traces; it stands above `telemetry.endpoint`.",
    }),
    headers: secretText(
      "name=value,name=value with percent-encoded values, or none",
      headerListFault,
      {
        standard: nothingConfigured,
        names: ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
        description: "Headers for the collector, such as its credentials.",
      },
    ),
    serviceName: text("1 to 100 characters", serviceNameFault, {
      standard: "candor",
      names: ["OTEL_SERVICE_NAME"],
      description: "What this installation is called in traces.",
    }),
    samplePercent: integer(0, 100, {
      standard: 100,
      description:
        "How many of 100 traces are made. A caller's `traceparent` decides for its own request.",
    }),
  },
  performance: {
    embedThreads: integer(1, 32, {
      standard: {
        text: "the number of cores, at most 2",
        find: ({ cores }) => Math.min(Math.max(cores, 1), 2),
      },
      description: "Threads that compute embeddings.",
    }),
    indexConcurrency: integer(1, 32, {
      standard: 4,
      description: "Files that are read and cut at the same time during a sync.",
    }),
    workerMegabytes: integer(64, 4096, {
      standard: 256,
      description: "Memory limit of one worker thread, in megabytes.",
    }),
    workerTimeoutSeconds: integer(1, 600, {
      standard: 60,
      description: "Longest time one task of a worker thread may take, in seconds.",
    }),
  },
  models: {
    static: folders({
      standard: {
        text: "`assets/candor-static-256`, shipped with Candor",
        find: ({ packageFolder }) => [join(packageFolder, "assets", "candor-static-256")],
      },
      atLeast: 1,
      description: "Folders of static embedding models; the first is the default space.",
    }),
  },
} as const;

type ValueOf<Entry> = Entry extends Setting<infer Value> ? Value : never;

/** The effective values: `config.server.port`, `config.logging.level`. Frozen; a run-time change makes a new one. */
export type Config = {
  readonly [Section in keyof typeof settings]: (typeof settings)[Section] extends Setting
    ? ValueOf<(typeof settings)[Section]>
    : {
        readonly [Key in keyof (typeof settings)[Section]]: ValueOf<
          (typeof settings)[Section][Key]
        >;
      };
};

/** Every setting by its key, `section.key`, in the order of the table. */
export const settingsByKey: ReadonlyMap<string, Setting> = new Map(
  Object.entries(settings).flatMap(([section, content]): [string, Setting][] =>
    isSetting(content)
      ? [[section, content]]
      : Object.entries(content).map(([key, setting]) => [`${section}.${key}`, setting]),
  ),
);

/** The environment names of a setting, the one to show first: short names, then CANDOR_<SECTION>_<KEY>. */
export function environmentNames(key: string): readonly string[] {
  const long = `CANDOR_${key
    .replaceAll(".", "_")
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;
  const short = settingsByKey.get(key)?.names ?? [];
  return short.includes(long) ? short : [...short, long];
}

function isSetting(content: object): content is Setting {
  return "schema" in content;
}
