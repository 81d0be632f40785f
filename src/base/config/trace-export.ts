/** What stands for no collector and no headers. */
export const nothingConfigured = "none";

/** What is wrong with `address` as the address of a collector, or null. */
export function collectorFault(address: string): string | null {
  if (address === nothingConfigured) return null;
  const parsed = URL.canParse(address) ? new URL(address) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    return "is not an address such as http://127.0.0.1:4318";
  if (parsed.username !== "" || parsed.password !== "")
    return "holds a user name or a password; give them in telemetry.headers";
  return parsed.search === "" && parsed.hash === "" ? null : "has a part after `?` or `#`";
}

/** What is wrong with `name` as the name of an installation in traces, or null. */
export function serviceNameFault(name: string): string | null {
  return name.length >= 1 && name.length <= 100 ? null : `has ${name.length} characters`;
}

/** What is wrong with `text` as a list of headers, or null. Never repeats it: values are credentials. */
export function headerListFault(text: string): string | null {
  const bad = splitHeaders(text).findIndex((entry) => parseHeader(entry) === null);
  return bad < 0 ? null : `is not name=value at its entry ${bad + 1}; values are percent-encoded`;
}

/** The headers of a list that has passed `headerListFault`: `name=value,other=value`, values percent-encoded (OTLP exporter specification). */
export function parseHeaderList(text: string): Record<string, string> {
  const pairs = splitHeaders(text).flatMap((entry) => {
    const pair = parseHeader(entry);
    return pair === null ? [] : [pair];
  });
  return Object.fromEntries(pairs);
}

function splitHeaders(text: string): string[] {
  return (text === nothingConfigured ? "" : text)
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function parseHeader(entry: string): [name: string, value: string] | null {
  const [, name = "", encoded = ""] = /^([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*)$/s.exec(entry) ?? [];
  // A value that is not ASCII cannot be sent, so no percent sign stands for anything above 7f.
  if (name === "" || /%(?![0-7][0-9a-f])/i.test(encoded)) return null;
  const value = decodeURIComponent(encoded);
  return /^[\x20-\x7e]+$/.test(value) ? [name.toLowerCase(), value] : null;
}

/** Where traces go, or null when none are configured: the traces' own address, or the collector's with `/v1/traces` below it. */
export function tracesAddress(telemetry: {
  readonly endpoint: string;
  readonly tracesEndpoint: string;
}): string | null {
  const { endpoint, tracesEndpoint } = telemetry;
  if (tracesEndpoint !== nothingConfigured) return tracesEndpoint;
  return endpoint === nothingConfigured ? null : `${endpoint.replace(/\/+$/, "")}/v1/traces`;
}
