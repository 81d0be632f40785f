import { FormatUnsupportedError } from "#base/errors/index.ts";

export type Format = "markdown" | "text" | "html" | "json" | "csv" | "code";

/** What a name or media type says about a file. `known`: the name or type is in our tables, so its content must be that. */
export type DetectedFormat = {
  readonly format: Format;
  readonly language: string | null;
  readonly mediaType: string;
  readonly charset: string | null;
  readonly known: boolean;
};

type Row = readonly [mediaType: string, format: Format, language: string | null, names: string];

/** Names are extensions without their dot; those with a capital or a dot are whole file names, compared without case. */
const rows: readonly Row[] = [
  ["text/markdown", "markdown", null, "md markdown mdown mkd mkdn mdx mdc"],
  [
    "text/plain",
    "text",
    null,
    "txt text log rst adoc asciidoc org tex bib ini cfg conf properties srt vtt diff patch",
  ],
  ["text/html", "html", null, "html htm xhtml"],
  ["application/json", "json", null, "json geojson webmanifest ipynb topojson har"],
  ["application/jsonl", "json", "jsonl", "jsonl ndjson"],
  ["text/csv", "csv", null, "csv"],
  ["text/tab-separated-values", "csv", "tsv", "tsv tab"],
  ["text/typescript", "code", "typescript", "ts mts cts"],
  ["text/tsx", "code", "tsx", "tsx"],
  ["text/javascript", "code", "javascript", "js mjs cjs"],
  ["text/jsx", "code", "jsx", "jsx"],
  ["text/x-python", "code", "python", "py pyi pyw"],
  ["text/x-go", "code", "go", "go"],
  ["text/x-rust", "code", "rust", "rs"],
  ["text/x-java", "code", "java", "java"],
  ["text/x-c", "code", "c", "c h"],
  ["text/x-c++", "code", "cpp", "cc cpp cxx c++ hh hpp hxx h++ ipp tpp cu cuh"],
  ["text/x-csharp", "code", "csharp", "cs"],
  ["text/x-ruby", "code", "ruby", "rb rake gemspec Gemfile Rakefile"],
  ["text/x-php", "code", "php", "php phtml"],
  ["text/x-shellscript", "code", "bash", "sh bash zsh fish"],
  ["text/x-powershell", "code", "powershell", "ps1 psm1 psd1"],
  ["text/css", "code", "css", "css scss sass less"],
  ["application/sql", "code", "sql", "sql"],
  ["application/yaml", "code", "yaml", "yaml yml"],
  ["application/toml", "code", "toml", "toml"],
  ["application/xml", "code", "xml", "xml xsd xsl xslt svg plist rss atom wsdl csproj vcxproj"],
  [
    "text/x-jsonc",
    "code",
    "jsonc",
    "jsonc json5 code-workspace tsconfig.json jsconfig.json .eslintrc.json .swcrc",
  ],
  ["text/x-kotlin", "code", "kotlin", "kt kts"],
  ["text/x-swift", "code", "swift", "swift"],
  ["text/x-scala", "code", "scala", "scala sc"],
  ["text/x-lua", "code", "lua", "lua"],
  ["text/x-perl", "code", "perl", "pl pm"],
  ["text/x-r", "code", "r", "r"],
  ["text/x-julia", "code", "julia", "jl"],
  ["text/x-haskell", "code", "haskell", "hs"],
  ["text/x-elixir", "code", "elixir", "ex exs"],
  ["text/x-erlang", "code", "erlang", "erl hrl"],
  ["text/x-clojure", "code", "clojure", "clj cljs cljc edn"],
  ["text/x-dart", "code", "dart", "dart"],
  ["text/x-zig", "code", "zig", "zig"],
  ["text/x-objective-c", "code", "objective-c", "m mm"],
  ["text/x-groovy", "code", "groovy", "groovy gradle Jenkinsfile"],
  ["text/x-protobuf", "code", "protobuf", "proto"],
  ["text/x-graphql", "code", "graphql", "graphql gql"],
  ["text/x-terraform", "code", "terraform", "tf hcl"],
  ["text/x-nix", "code", "nix", "nix"],
  ["text/x-vue", "code", "vue", "vue"],
  ["text/x-svelte", "code", "svelte", "svelte"],
  ["text/x-astro", "code", "astro", "astro"],
  ["text/x-makefile", "code", "make", "mk Makefile GNUmakefile"],
  ["text/x-cmake", "code", "cmake", "cmake CMakeLists.txt"],
  ["text/x-dockerfile", "code", "dockerfile", "dockerfile Dockerfile Containerfile"],
];

/** Other spellings of the media types above. */
const aliases: Readonly<Record<string, string>> = {
  "text/x-markdown": "text/markdown",
  "application/xhtml+xml": "text/html",
  "text/json": "application/json",
  "application/x-ndjson": "application/jsonl",
  "application/ndjson": "application/jsonl",
  "application/x-jsonlines": "application/jsonl",
  "application/csv": "text/csv",
  "application/typescript": "text/typescript",
  "text/x-typescript": "text/typescript",
  "application/javascript": "text/javascript",
  "application/x-javascript": "text/javascript",
  "application/x-python": "text/x-python",
  "text/x-java-source": "text/x-java",
  "text/rust": "text/x-rust",
  "text/x-csrc": "text/x-c",
  "text/x-chdr": "text/x-c",
  "text/x-c++src": "text/x-c++",
  "text/x-c++hdr": "text/x-c++",
  "application/x-sh": "text/x-shellscript",
  "text/yaml": "application/yaml",
  "text/x-yaml": "application/yaml",
  "application/x-yaml": "application/yaml",
  "text/xml": "application/xml",
  "image/svg+xml": "application/xml",
};

const byMediaType = new Map(rows.map((row) => [row[0], row]));
const names = rows.flatMap((row) => row[3].split(" ").map((name) => [name, row] as const));
const isWholeName = (name: string): boolean => /[A-Z.]/.test(name);
const extensions = new Map(names.filter(([name]) => !isWholeName(name)));
const wholeNames = new Map(
  names.filter(([name]) => isWholeName(name)).map(([name, row]) => [name.toLowerCase(), row]),
);

/**
 * The format of a document: by its media type where one is given (`application/octet-stream` says nothing), else by its
 * name. Unknown names are taken for text.
 * @throws FormatUnsupportedError for a media type that no reader takes.
 */
export function detectFormat(key: string, mediaType: string | undefined): DetectedFormat {
  const [essence = "", ...parameters] = (mediaType ?? "").split(";").map((each) => each.trim());
  const type = essence.toLowerCase();
  const charset = charsetOf(parameters);
  if (type === "" || type === "application/octet-stream") return { ...formatOfName(key), charset };
  const row =
    byMediaType.get(aliases[type] ?? type) ??
    (type.endsWith("+json") ? byMediaType.get("application/json") : undefined);
  if (row !== undefined) return { ...fromRow(row), mediaType: type, charset };
  if (type.startsWith("text/")) {
    return { format: "text", language: null, mediaType: type, charset, known: true };
  }
  throw new FormatUnsupportedError(
    `No reader for ${type} (${key}). Send text/plain, text/markdown, text/html, application/json, application/jsonl, text/csv, text/tab-separated-values or a media type of source code, such as text/x-python.`,
    { details: { key, mediaType: type } },
  );
}

function charsetOf(parameters: readonly string[]): string | null {
  for (const parameter of parameters) {
    const value = /^charset\s*=\s*"?([^"]+)"?$/i.exec(parameter)?.[1];
    if (value !== undefined) return value.trim();
  }
  return null;
}

function formatOfName(key: string): Omit<DetectedFormat, "charset"> {
  const name = key.slice(key.lastIndexOf("/") + 1).toLowerCase();
  const extension = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1) : null;
  const row = wholeNames.get(name) ?? (extension === null ? undefined : extensions.get(extension));
  if (row !== undefined) return fromRow(row);
  return { format: "text", language: null, mediaType: "text/plain", known: false };
}

function fromRow([mediaType, format, language]: Row): Omit<DetectedFormat, "charset"> {
  return { format, language: format === "code" ? language : null, mediaType, known: true };
}

/** Beginnings of binary files; those of plain letters count only where a NUL byte shows that it is no text, but for PDF. */
const signatures: readonly (readonly [name: string, bytes: string, offset?: number])[] = [
  ["a PDF", "%PDF-"],
  ["a zip archive (or an Office document)", "PK\x03\x04"],
  ["a zip archive", "PK\x05\x06"],
  ["a PNG image", "\x89PNG\r\n\x1a\n"],
  ["a JPEG image", "\xff\xd8\xff"],
  ["a GIF image", "GIF87a"],
  ["a GIF image", "GIF89a"],
  ["a TIFF image", "II*\0"],
  ["a TIFF image", "MM\0*"],
  ["a WebP image", "WEBP", 8],
  ["a gzip archive", "\x1f\x8b\x08"],
  ["a bzip2 archive", "BZh91AY&SY"],
  ["an xz archive", "\xfd7zXZ\0"],
  ["a zstd archive", "\x28\xb5\x2f\xfd"],
  ["a 7z archive", "7z\xbc\xaf\x27\x1c"],
  ["a RAR archive", "Rar!\x1a\x07"],
  ["an ELF program", "\x7fELF"],
  ["a Mach-O program", "\xcf\xfa\xed\xfe"],
  ["Java byte code or a Mach-O program", "\xca\xfe\xba\xbe"],
  ["a WebAssembly module", "\0asm"],
  ["a SQLite database", "SQLite format 3\0"],
  ["an old Office document", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
  ["a GGUF model", "GGUF"],
  ["a NumPy array", "\x93NUMPY"],
  ["a TrueType font", "\0\x01\0\0\0"],
  ["a web font", "wOFF"],
  ["a web font", "wOF2"],
  ["an Ogg file", "OggS\0"],
  ["an MP4 file", "ftyp", 4],
  ["a Windows program", "MZ"],
  ["a bitmap image", "BM"],
  ["a parquet file", "PAR1"],
  ["a RIFF file", "RIFF"],
  ["an MP3 file", "ID3"],
];

/** What binary content looks like, in words ("a PDF"), or null for what may be text. Call it only for single-byte encodings and UTF-8. */
export function binaryContent(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 64)).toString("latin1");
  const zero = bytes.indexOf(0);
  for (const [name, signature, offset = 0] of signatures) {
    const couldBeText = zero < 0 && signature !== "%PDF-" && /^[ -~]+$/.test(signature);
    if (start.startsWith(signature, offset) && !couldBeText) return name;
  }
  if (zero < 0) return null;
  return looksLikeUtf16(bytes)
    ? "UTF-16 without a byte order mark"
    : `binary data (a NUL byte at offset ${zero})`;
}

function looksLikeUtf16(bytes: Uint8Array): boolean {
  const sample = bytes.subarray(0, 512);
  const zeros = [0, 0];
  for (const [index, byte] of sample.entries()) {
    if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  }
  const [even = 0, odd = 0] = zeros;
  return Math.max(even, odd) > sample.length * 0.3 && Math.min(even, odd) === 0;
}
