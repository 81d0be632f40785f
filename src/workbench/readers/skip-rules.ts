import { matchesGlob } from "node:path";
import ignore, { type Ignore } from "ignore";
import { InputInvalidError } from "#base/errors/index.ts";

/** Files whose rules are those of git's ignore files; in one folder the later name wins. */
export const ignoreFileNames = [".gitignore", ".candorignore"] as const;

const folderReasons = reasonsByName({
  "version control folder": ".git .hg .svn .jj .bzr CVS",
  "dependency folder":
    "node_modules bower_components jspm_packages .pnpm-store .yarn .venv venv site-packages __pypackages__ .tox .nox .gradle .m2 Pods Carthage .bundle",
  "build output":
    "dist .next .nuxt .svelte-kit .output .turbo .parcel-cache .terraform .angular storybook-static",
  "cache folder":
    ".cache __pycache__ .pytest_cache .mypy_cache .ruff_cache .nyc_output coverage .ipynb_checkpoints .Trash .Trashes",
  "may hold secrets": ".ssh .gnupg .aws .azure .kube .password-store",
});

const fileReasons = reasonsByName({
  "lock file":
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock Cargo.lock poetry.lock Pipfile.lock uv.lock pdm.lock composer.lock Gemfile.lock go.sum flake.lock mix.lock packages.lock.json Podfile.lock pubspec.lock .terraform.lock.hcl gradle.lockfile",
  "system file": ".DS_Store Thumbs.db ehthumbs.db desktop.ini .localized .directory",
  "ignore file":
    ".gitignore .candorignore .gitattributes .gitmodules .gitkeep .keep .dockerignore .npmignore .prettierignore .eslintignore .ignore .rgignore .hgignore",
});

/** Names of files that hold keys and passwords as a rule. They are never read, whatever an ignore file or `include` says. */
const secretName =
  /^(?:\.env.*|.*\.env|credentials.*|\.credentials.*|secrets?(?:\.[\w.-]+)?|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\..*)?|\.npmrc|\.yarnrc(?:\.yml)?|\.netrc|_netrc|\.pypirc|\.pgpass|\.my\.cnf|\.htpasswd|\.git-credentials|\.dockercfg|\.dockerconfigjson|\.vault-token|\.boto|\.s3cfg|kubeconfig|service[-_]?account.*\.json|.*\.(?:pem|key|p8|p12|pfx|pkcs12|jks|keystore|ppk|kdbx?|keychain(?:-db)?|agekey|tfstate|tfvars|ovpn|mobileprovision))$/i;

const minifiedName =
  /(?:[.-]min|\.bundle|\.chunk)\.(?:js|mjs|cjs|css|html)$|\.(?:js|css|mjs|cjs)\.map$/i;

const temporaryName =
  /^(?:\._.*|\.#.*|#.*#|~\$.*)$|(?:~|\.sw[a-p]|\.tmp|\.temp|\.part|\.crdownload)$/i;

const binaryExtensions = new Set(
  "7z a aac ai aiff apk app ar arrow avi avif bin blend bmp br bz2 cab class ckpt cr2 dat db deb dex dll dmg doc docm docx dylib ear eot epub exe fbx feather flac flv gguf gif glb gz h5 hdf5 heic heif icns ico img iso jar jpeg jpg jxl lib lz4 lzma m4a m4v mdb mkv mobi mov mp3 mp4 mpeg mpg msi nef npy npz numbers o obj odp ods odt ogg ogv onnx opus orc otf pack pages parquet pdb pdf pickle pkl png ppt pptx psd pt pth pyc pyd pyo rar raw rlib rpm rtf safetensors sav sketch so sqlite sqlite3 stl swf tar tflite tgz tif tiff ttc ttf vsix wasm wav webm webp whl wma wmv woff woff2 xls xlsm xlsx xz z zip zst".split(
    " ",
  ),
);

/** One ignore file's rules, for paths relative to its folder. */
export type IgnoreRules = {
  /** Folder of the ignore file, relative to the root, `""` for the root itself. */
  readonly folder: string;
  readonly file: string;
  readonly rules: Ignore;
};

/** Reads the rules of an ignore file that lies in `folder`. */
export function parseIgnoreFile(folder: string, name: string, content: string): IgnoreRules {
  const file = folder === "" ? name : `${folder}/${name}`;
  return { folder, file, rules: ignore({ allowRelativePaths: false }).add(content) };
}

/**
 * Why a file or folder is left out, or null. Secrets and version control always are; then the deepest ignore file that
 * has a rule decides (`!name` brings a default back), then the defaults.
 */
export function skipReason(
  key: string,
  isFolder: boolean,
  ignoreFiles: readonly IgnoreRules[],
): string | null {
  const name = key.slice(key.lastIndexOf("/") + 1);
  const usual = isFolder ? (folderReasons.get(name.toLowerCase()) ?? null) : fileReason(name);
  if (usual === "may hold secrets" || usual === "version control folder") return usual;
  for (const { folder, file, rules } of ignoreFiles.toReversed()) {
    const relative = folder === "" ? key : key.slice(folder.length + 1);
    const found = rules.test(isFolder ? `${relative}/` : relative);
    if (found.ignored) return `ignored by ${file}`;
    if (found.unignored) return null;
  }
  return usual;
}

function fileReason(name: string): string | null {
  if (secretName.test(name)) return "may hold secrets";
  const named = fileReasons.get(name.toLowerCase());
  if (named !== undefined) return named;
  if (minifiedName.test(name)) return "minified file";
  if (temporaryName.test(name)) return "temporary file";
  const extension = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase();
  return extension !== undefined && binaryExtensions.has(extension) ? "binary" : null;
}

function reasonsByName(groups: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(groups).flatMap(([reason, names]) =>
      names.split(" ").map((name) => [name.toLowerCase(), reason] as const),
    ),
  );
}

/** Which keys a caller wants; a folder can be left out as a whole. */
export type KeyFilter = {
  file(key: string): string | null;
  folder(key: string): string | null;
};

/** Longest glob, in characters, and most wildcards in one: more of either take matching time without a use. */
const longestGlob = 256;
const mostWildcards = 6;

/**
 * A filter from globs over keys (`docs/**`, `*.md`). A glob without a slash holds for names at any depth, a glob that
 * matches a folder for all below it. As in shells, wildcards do not match names that begin with a dot.
 * @throws InputInvalidError for a glob that is empty, unbalanced, too long or leaves the folder.
 */
export function createKeyFilter(
  include: readonly string[] | undefined,
  exclude: readonly string[] | undefined,
): KeyFilter {
  const wanted = include?.map((glob, index) => checkGlob(glob, `/include/${index}`)) ?? [];
  const unwanted = exclude?.map((glob, index) => checkGlob(glob, `/exclude/${index}`)) ?? [];
  const excluded = (key: string): string | null => {
    const glob = unwanted.find((each) => matchesKey(key, each));
    return glob === undefined ? null : `excluded by ${glob}`;
  };
  return {
    file: (key) =>
      excluded(key) ??
      (wanted.length === 0 || wanted.some((glob) => matchesKey(key, glob)) ? null : "not included"),
    folder: (key) =>
      excluded(key) ??
      (wanted.length === 0 || wanted.some((glob) => mayHold(key, glob)) ? null : "not included"),
  };
}

function matchesKey(key: string, glob: string): boolean {
  const bare = glob.replace(/\/(?:\*\*)?$/, "");
  if (!bare.includes("/") && bare === glob) {
    return key.split("/").some((name) => matchesGlob(name, bare));
  }
  return matchesGlob(key, glob) || matchesGlob(key, bare) || matchesGlob(key, `${bare}/**`);
}

/** Whether a key below `folder` can match: its path agrees with the part of the glob before the first wildcard. */
function mayHold(folder: string, glob: string): boolean {
  if (!glob.replace(/\/(?:\*\*)?$/, "").includes("/") && !glob.endsWith("/**")) return true;
  const fixed = glob.split(/[*?[{]/, 1)[0] ?? "";
  const below = `${folder}/`;
  return below.startsWith(fixed) || fixed.startsWith(below) || glob.startsWith(below);
}

function checkGlob(glob: string, pointer: string): string {
  const fault = globFault(glob);
  if (fault === null) return glob;
  const message = `The glob ${JSON.stringify(glob)} ${fault}.`;
  throw new InputInvalidError(
    `${message} Valid are patterns such as docs/**, **/*.md or notes.txt.`,
    {
      errors: [{ pointer, message }],
    },
  );
}

function globFault(glob: string): string | null {
  if (glob.trim() === "") return "is empty";
  if (glob.length > longestGlob) return `is longer than ${longestGlob} characters`;
  if (/[\p{Cc}\\]/u.test(glob)) return "holds a backslash or control character";
  if (glob.startsWith("/") || /^[a-z]:/i.test(glob))
    return "is absolute; globs are relative to the folder";
  if (glob.startsWith("!")) return "begins with !; use exclude for what to leave out";
  if (glob.includes("..")) return "leads out of the folder, or holds a range";
  if (/[?*+@!]\(/.test(glob)) return "uses an extended pattern such as +(a|b)";
  if ((glob.match(/\*+|\?+|\{/g)?.length ?? 0) > mostWildcards) {
    return `has more than ${mostWildcards} wildcards`;
  }
  const balanced = /^(?:[^{}[\]]|\{[^{}[\]]*\}|\[[^{}[\]/]+\])*$/.test(glob);
  return balanced ? null : "has a bracket or brace that is not closed, empty or nested";
}
