import { one, parameter, type CliCommand, type Context } from "./command.ts";
import type { Parameter } from "./parameters.ts";
import { ask } from "./send.ts";

const shells = ["bash", "zsh", "fish", "powershell"] as const;
type Shell = (typeof shells)[number];

const installation: Readonly<Record<Shell, string>> = {
  bash: "candor completion bash > ~/.local/share/bash-completion/completions/candor",
  zsh: "candor completion zsh > ~/.zfunc/_candor   # with ~/.zfunc in fpath before compinit",
  fish: "candor completion fish > ~/.config/fish/completions/candor.fish",
  powershell: "candor completion powershell >> $PROFILE",
};

/** `candor completion SHELL`: a script for that shell. */
export const completionCommand: CliCommand = {
  words: ["completion"],
  summary: "Print the completion script of a shell",
  parameters: [parameter("shell", "The shell", { place: "argument", choices: shells })],
  kind: "process",
  operation: null,
  examples: Object.values(installation),
  run: async (context, typed) => {
    context.terminal.out.line(renderScript(one(typed, "shell") as Shell, context.commands));
    return "ok";
  },
};

/** `candor __complete collections`: names for the scripts, one a line. */
export const completeCommand: CliCommand = {
  words: ["__complete"],
  summary: "Names for completion scripts",
  parameters: [parameter("what", "What to list", { place: "argument", choices: ["collections"] })],
  kind: "process",
  operation: null,
  hidden: true,
  run: completeNames,
};

async function completeNames(context: Context) {
  const { items } = await ask(context, "collections.list", { limit: 100 });
  for (const { name } of items as readonly { name: string }[]) context.terminal.out.line(name);
  return "ok" as const;
}

/** What may follow one command: words, options with their values, and what its arguments are. */
type Point = {
  /** The words so far, joined by a blank; empty at the start. */
  path: string;
  words: { word: string; summary: string }[];
  options: { name: string; description: string; values: string }[];
  /** What an argument is: files, collections, a choice, or nothing known. */
  argument: string;
};

/** Values that are looked up when asked for. */
const collectionValues = "@collections";
const fileValues = "@files";

/** The completion script of `shell` for these commands. */
export function renderScript(shell: Shell, commands: readonly CliCommand[]): string {
  const points = toPoints(commands.filter(({ hidden }) => hidden !== true));
  switch (shell) {
    case "bash":
      return renderBash(points);
    case "zsh":
      return renderZsh(points);
    case "fish":
      return renderFish(points);
    case "powershell":
      return renderPowershell(points);
  }
}

function toPoints(commands: readonly CliCommand[]): Point[] {
  const points = new Map<string, Point>();
  const pointAt = (path: string): Point => {
    const known = points.get(path);
    if (known) return known;
    const made: Point = { path, words: [], options: [], argument: "" };
    points.set(path, made);
    return made;
  };
  pointAt("");
  for (const { words, summary, parameters } of commands) {
    for (const [depth, word] of words.entries()) {
      const parent = pointAt(words.slice(0, depth).join(" "));
      const isLast = depth === words.length - 1;
      const known = parent.words.find((each) => each.word === word);
      if (known === undefined) parent.words.push({ word, summary: isLast ? summary : "" });
      else if (isLast) known.summary = summary;
    }
    const point = pointAt(words.join(" "));
    point.options.push(
      ...parameters.filter(({ place }) => place === "option").map(toOption),
      { name: "json", description: "Print the answer as JSON", values: "" },
      { name: "help", description: "Show help", values: "" },
    );
    const argument = parameters.find(({ place }) => place === "argument");
    point.argument = argument === undefined ? "" : valuesOf(argument);
  }
  return [...points.values()];
}

function toOption(option: Parameter): Point["options"][number] {
  const isNegated = option.kind === "switch" && option.standard === "true";
  return {
    name: isNegated ? `no-${option.name}` : option.name,
    description: option.description,
    values: option.kind === "switch" ? "" : valuesOf(option) || "@none",
  };
}

function valuesOf({ name, choices }: Parameter): string {
  if (choices !== null) return choices.join(" ");
  if (name === "collection") return collectionValues;
  return name === "path" || name === "files" ? fileValues : "";
}

const lookup = "candor __complete collections 2>/dev/null";

/** The words typed so far that lead to a point, options and their values left out. */
function renderBash(points: readonly Point[]): string {
  const cases = points.map(({ path, words, options, argument }) => {
    const names = [...words.map(({ word }) => word), ...options.map(({ name }) => `--${name}`)];
    return `    ${quote(path)}) words=${quote(names.join(" "))}; argument=${quote(argument)} ;;`;
  });
  const known = points.filter(({ path }) => path !== "").map(({ path }) => quote(path));
  const values = optionValues(points).map(
    ([names, value]) =>
      `    ${names.map((name) => `--${name}`).join("|")}) values=${quote(value)} ;;`,
  );
  return `# Completion of candor for bash: ${installation.bash}
_candor() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local path="" word words="" argument="" values=""
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${known.join("|")}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$previous" in
${values.join("\n")}
  esac
  case "$path" in
${cases.join("\n")}
  esac
  if [[ -z $values && $current != -* ]]; then values=$argument; fi
  case "$values" in
    @collections) words=$(${lookup}) ;;
    @files) COMPREPLY=($(compgen -f -- "$current")); return ;;
    @none) return ;;
    ?*) words=$values ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _candor candor`;
}

/** Options by their values, each value once. */
function optionValues(points: readonly Point[]): [string[], string][] {
  const byName = new Map<string, string>();
  for (const { options } of points)
    for (const { name, values } of options) if (values !== "") byName.set(name, values);
  const grouped = Map.groupBy(byName, ([, values]) => values);
  return [...grouped].map(([values, entries]) => [entries.map(([name]) => name), values]);
}

function renderZsh(points: readonly Point[]): string {
  const cases = points.map(({ path, words, options, argument }) => {
    const described = [
      ...words.map(({ word, summary }) => `${word}:${summary}`),
      ...options.map(({ name, description }) => `--${name}:${description}`),
    ];
    return `    ${quote(path)}) words_here=(${described.map(quote).join(" ")}); argument=${quote(argument)} ;;`;
  });
  const known = points.filter(({ path }) => path !== "").map(({ path }) => quote(path));
  const values = optionValues(points).map(
    ([names, value]) =>
      `    ${names.map((name) => `--${name}`).join("|")}) values=${quote(value)} ;;`,
  );
  return `#compdef candor
# Completion of candor for zsh: ${installation.zsh}
_candor() {
  local path_here="" word argument="" values=""
  local -a words_here
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${path_here:+$path_here }$word" in
    ${known.join("|")}) path_here="\${path_here:+$path_here }$word" ;;
    esac
  done
  case "\${words[CURRENT-1]}" in
${values.join("\n")}
  esac
  case "$path_here" in
${cases.join("\n")}
  esac
  if [[ -z $values && \${words[CURRENT]} != -* ]]; then
    values=$argument
  fi
  case "$values" in
    @collections) compadd -- \${(f)"$(${lookup})"} ;;
    @files) _files ;;
    @none) ;;
    ?*) compadd -- \${=values} ;;
    *) _describe candor words_here ;;
  esac
}
if [[ "$funcstack[1]" = "_candor" ]]; then _candor "$@"; else compdef _candor candor; fi`;
}

function renderFish(points: readonly Point[]): string {
  const lines = points.flatMap(({ path, words, options, argument }) => {
    const parts = path === "" ? [] : path.split(" ");
    const here = `-n ${quote(`__candor_at ${parts.join(" ")}`.trim())}`;
    const argumentLine =
      argument === "" ? [] : [`complete -c candor ${here} ${fishValues(argument, "")}`];
    return [
      ...words.map(
        ({ word, summary }) => `complete -c candor ${here} -f -a ${word} -d ${quote(summary)}`,
      ),
      ...options.map(
        ({ name, description, values }) =>
          `complete -c candor ${here} -l ${name} ${values === "" ? "-f" : fishValues(values, "-x")} -d ${quote(description)}`,
      ),
      ...argumentLine,
    ];
  });
  const paths = points.filter(({ path }) => path !== "").map(({ path }) => quote(path));
  return `# Completion of candor for fish: ${installation.fish}
set -g __candor_paths ${paths.join(" ")}
function __candor_at
  set -l path
  for word in (commandline -opc)[2..-1]
    if contains -- (string join ' ' $path $word) $__candor_paths
      set path $path $word
    end
  end
  test (string join ' ' $path) = (string join ' ' $argv)
end
complete -c candor -f
${lines.join("\n")}`;
}

function fishValues(values: string, exclusive: string): string {
  if (values === fileValues) return "-F";
  if (values === "@none") return exclusive;
  const shown = values === collectionValues ? `(${lookup})` : values;
  return `${exclusive === "" ? "-f" : exclusive} -a ${quote(shown)}`;
}

function renderPowershell(points: readonly Point[]): string {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  const entries = points.map(({ path, words, options, argument }) => {
    const names = [...words.map(({ word }) => word), ...options.map(({ name }) => `--${name}`)];
    return `  ${text(path)} = @{ words = @(${names.map(text).join(", ")}); argument = ${text(argument)} }`;
  });
  const values = optionValues(points).flatMap(([names, value]) =>
    names.map((name) => `  ${text(`--${name}`)} = ${text(value)}`),
  );
  return `# Completion of candor for PowerShell: ${installation.powershell}
$CandorPoints = @{
${entries.join("\n")}
}
$CandorValues = @{
${values.join("\n")}
}
Register-ArgumentCompleter -Native -CommandName candor -ScriptBlock {
  param($current, $syntax, $position)
  $typed = @($syntax.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.ToString() } | Select-Object -Skip 1)
  $path = ''
  foreach ($word in $typed) {
    $longer = "$path $word".Trim()
    if ($CandorPoints.ContainsKey($longer)) { $path = $longer }
  }
  $point = $CandorPoints[$path]
  $values = ''
  if ($typed.Count -gt 0 -and $CandorValues.ContainsKey($typed[-1])) { $values = $CandorValues[$typed[-1]] }
  elseif ($current -notlike '-*') { $values = $point.argument }
  $words = switch ($values) {
    '' { $point.words }
    '@collections' { candor __complete collections 2>$null }
    '@files' { return }
    '@none' { return }
    default { $values -split ' ' }
  }
  $words | Where-Object { $_ -like "$current*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}`;
}

/** One word of a shell, whatever it holds. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
