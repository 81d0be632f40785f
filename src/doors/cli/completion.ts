import { one, parameter, type CliCommand, type Context } from "./command.ts";
import type { Parameter } from "./parameters.ts";
import { ask } from "./send.ts";

/** The shells, with the command that installs the script. */
export const shells = {
  bash: "candor completion bash > ~/.local/share/bash-completion/completions/candor",
  zsh: "candor completion zsh > ~/.zfunc/_candor # a folder in fpath, before compinit",
  fish: "candor completion fish > ~/.config/fish/completions/candor.fish",
  powershell: "candor completion powershell >> $PROFILE",
} as const;
export type Shell = keyof typeof shells;

/** `candor completion SHELL`: a script for that shell. */
export const completionCommand: CliCommand = {
  words: ["completion"],
  summary: "Print the completion script of a shell",
  parameters: [
    parameter("shell", "The shell", { place: "argument", choices: Object.keys(shells) }),
  ],
  kind: "process",
  operation: null,
  examples: Object.values(shells),
  run: async (context, typed) => {
    const points = toPoints(context.commands.filter(({ hidden }) => hidden !== true));
    context.terminal.out.line(renderScript(one(typed, "shell") as Shell, points));
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

/** What may follow each prefix of a command, the empty one first. */
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
  const isOff = option.kind === "switch" && option.standard === "true";
  return {
    name: isOff ? `no-${option.name}` : option.name,
    description: option.description,
    values: option.kind === "switch" ? "" : valuesOf(option) || "@none",
  };
}

function valuesOf({ name, choices }: Parameter): string {
  if (choices !== null) return choices.join(" ");
  if (name === "collection") return "@collections";
  return name === "path" || name === "files" ? "@files" : "";
}

/**
 * What may follow the words of `path`. Values are words joined by blanks, or `@collections` (asked for when needed),
 * `@files`, `@none` (something that only the person knows), or empty for an option without a value.
 */
export type Point = {
  /** The words so far, joined by a blank; empty at the start. */
  readonly path: string;
  readonly words: { word: string; summary: string }[];
  readonly options: { name: string; description: string; values: string }[];
  /** Values of the arguments; empty where nothing is known of them. */
  argument: string;
};

/** Names of collections, from whoever owns the data directory. */
const lookup = "candor __complete collections 2>/dev/null";

/** The completion script of `shell`: every word and option stands in it; only names of collections are asked for. */
function renderScript(shell: Shell, points: readonly Point[]): string {
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

/** One word of a shell of the Bourne family or of fish, whatever it holds. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Patterns of the words that lead somewhere, and `values` by path and option: the parts that bash and zsh share. */
function shellCases(points: readonly Point[]): { known: string; values: string } {
  const values = points.flatMap(({ path, options }) =>
    options
      .filter(({ values: inner }) => inner !== "")
      .map(
        ({ name, values: inner }) => `    ${quote(`${path} --${name}`)}) values=${quote(inner)} ;;`,
      ),
  );
  const known = points.filter(({ path }) => path !== "").map(({ path }) => quote(path));
  return { known: known.join("|"), values: values.join("\n") };
}

function renderBash(points: readonly Point[]): string {
  const { known, values } = shellCases(points);
  const cases = points.map(({ path, words, options, argument }) => {
    const names = words.map(({ word }) => word).join(" ");
    const flags = options.map(({ name }) => `--${name}`).join(" ");
    return `    ${quote(path)}) words=${quote(names)}; options=${quote(flags)}; argument=${quote(argument)} ;;`;
  });
  return `# Completion of candor for bash: ${shells.bash}
_candor() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path="" word words="" options="" argument="" values=""
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${known}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $previous" in
${values}
  esac
  case "$path" in
${cases.join("\n")}
  esac
  if [[ -n $values ]]; then words=""
  elif [[ $current == -* ]]; then words=$options
  else values=$argument
  fi
  case "$values" in
    @collections) words+=" $(${lookup})" ;;
    @files) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")) ;;
    @none) ;;
    *) words+=" $values" ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$current"))
}
complete -F _candor candor`;
}

function renderZsh(points: readonly Point[]): string {
  const { known, values } = shellCases(points);
  const cases = points.map(({ path, words, options, argument }) => {
    const described = (name: string, about: string) => quote(`${name}:${about}`);
    const names = words.map(({ word, summary }) => described(word, summary)).join(" ");
    const flags = options.map(({ name, description }) => described(`--${name}`, description));
    return `    ${quote(path)}) here=(${names}); options=(${flags.join(" ")}); argument=${quote(argument)} ;;`;
  });
  return `#compdef candor
# Completion of candor for zsh: ${shells.zsh}
_candor() {
  local at="" word argument="" values=""
  local -a here options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at:+$at }$word" in
    ${known}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${values}
  esac
  case "$at" in
${cases.join("\n")}
  esac
  if [[ -z $values ]]; then
    if [[ \${words[CURRENT]} == -* ]]; then
      _describe -o option options
      return
    fi
    (( \${#here} )) && _describe command here
    values=$argument
  fi
  case "$values" in
    @collections) compadd -- \${(f)"$(${lookup})"} ;;
    @files) _files ;;
    @none) ;;
    *) compadd -- \${=values} ;;
  esac
}
if [[ "\${funcstack[1]}" = _candor ]]; then _candor "$@"; else compdef _candor candor; fi`;
}

function renderFish(points: readonly Point[]): string {
  const lines = points.flatMap(({ path, words, options, argument }) => {
    const here = `complete -c candor -n ${quote(`__candor_at ${path}`.trim())}`;
    return [
      ...words.map(({ word, summary }) => `${here} -f -a ${word} -d ${quote(summary)}`),
      ...options.map(
        ({ name, description, values }) =>
          `${here} -l ${name} ${values === "" ? "-f" : `-r ${fishValues(values)}`} -d ${quote(description)}`,
      ),
      ...(argument === "" ? [] : [`${here} ${fishValues(argument)}`]),
    ];
  });
  const paths = points.filter(({ path }) => path !== "").map(({ path }) => quote(path));
  return `# Completion of candor for fish: ${shells.fish}
set -g __candor_paths ${paths.join(" ")}
function __candor_at
  set -l at
  for word in (commandline -opc)[2..-1]
    set -l longer $at $word
    if contains -- "$longer" $__candor_paths
      set at $longer
    end
  end
  test "$at" = "$argv"
end
complete -c candor -f
${lines.join("\n")}`;
}

function fishValues(values: string): string {
  if (values === "@files") return "-F";
  if (values === "@none") return "-f";
  return `-f -a ${quote(values === "@collections" ? `(${lookup})` : values)}`;
}

function renderPowershell(points: readonly Point[]): string {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  const list = (values: readonly string[]) => `@(${values.map(text).join(", ")})`;
  const entries = points.map(({ path, words, options, argument }) => {
    const names = list(words.map(({ word }) => word));
    const flags = list(options.map(({ name }) => `--${name}`));
    const values = options
      .filter(({ values: inner }) => inner !== "")
      .map(({ name, values: inner }) => `${text(`--${name}`)} = ${text(inner)}`);
    return `  ${text(path)} = @{ words = ${names}; options = ${flags}; argument = ${text(argument)}; values = @{ ${values.join("; ")} } }`;
  });
  return `# Completion of candor for PowerShell: ${shells.powershell}
$global:CandorPoints = @{
${entries.join("\n")}
}
Register-ArgumentCompleter -Native -CommandName candor -ScriptBlock {
  param($current, $syntax, $position)
  $typed = @($syntax.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.ToString() } | Select-Object -Skip 1)
  $path = ''
  foreach ($word in $typed) {
    $longer = "$path $word".Trim()
    if ($global:CandorPoints.ContainsKey($longer)) { $path = $longer }
  }
  $point = $global:CandorPoints[$path]
  $words = @()
  $values = ''
  if ($typed.Count -gt 0 -and $point.values.ContainsKey($typed[-1])) { $values = $point.values[$typed[-1]] }
  elseif ($current -like '-*') { $words = $point.options }
  else { $words = $point.words; $values = $point.argument }
  switch ($values) {
    '' { }
    '@none' { }
    '@files' { $words += @(Get-ChildItem -Name -Path "$current*") }
    '@collections' { $words += @(candor __complete collections 2>$null) }
    default { $words += $values -split ' ' }
  }
  $words | Where-Object { $_ -like "$current*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}`;
}
