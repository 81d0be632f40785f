import { stripVTControlCharacters, styleText } from "node:util";

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** One of the two outputs of a command. */
export type Output = {
  /** Whether a person watches: progress bars and wrapping only then. */
  readonly isTerminal: boolean;
  /** Width to wrap to, in columns; null where nobody watches. */
  readonly columns: number | null;
  readonly stream: NodeJS.WriteStream;
  /** Writes a line; what the receiver does not take any more (`| head`) is dropped. */
  line(text: string): void;
  style(style: Style, text: string): string;
};

export type Terminal = { readonly out: Output; readonly err: Output };

/** The two outputs of this process. `environment`: NO_COLOR and TERM decide about colours. */
export function openTerminal(environment: Readonly<Record<string, string | undefined>>): Terminal {
  const plain = Boolean(environment["NO_COLOR"]) || environment["TERM"] === "dumb";
  return {
    out: openOutput(process.stdout, plain),
    err: openOutput(process.stderr, plain),
  };
}

function openOutput(stream: NodeJS.WriteStream, plain: boolean): Output {
  const isTerminal = stream.isTTY === true;
  const state = { closed: false };
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    state.closed = true; // the reader has enough; the command itself goes on to its end
  });
  return {
    isTerminal,
    get columns() {
      return isTerminal ? Math.max(40, stream.columns || 80) : null;
    },
    stream,
    line: (text) => {
      if (!state.closed) stream.write(`${text}\n`);
    },
    style: (style, text) =>
      isTerminal && !plain ? styleText(style, text, { validateStream: false }) : text,
  };
}

/**
 * Text of files and servers made safe for a terminal: control characters, which could move the cursor or forge output,
 * are shown as symbols; line breaks and tabs stay.
 */
export function showSafely(text: string): string {
  return text.replaceAll(
    // oxlint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (found) => {
      const code = found.charCodeAt(0);
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
    },
  );
}

/** Columns that `text` takes: wide characters (UAX 11) two, combining marks and styles none. */
export function displayWidth(text: string): number {
  const shown = stripVTControlCharacters(text);
  if (/^[ -~]*$/.test(shown)) return shown.length;
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  let width = 0;
  for (const { segment } of segmenter.segment(shown)) width += isWide.test(segment) ? 2 : 1;
  return width;
}

/** Made when the first text needs it: that takes longer than most commands print. */
let segmenter: Intl.Segmenter | undefined;
const isWide =
  /^(?:\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60\uffe0-\uffe6])/u;

/** `text` in lines of at most `columns`, each after `indent`; words longer than a line stay whole. Null: no limit. */
export function wrap(text: string, columns: number | null, indent = ""): string {
  const room = columns === null ? Infinity : Math.max(20, columns - displayWidth(indent));
  return text
    .split("\n")
    .flatMap((line) => wrapLine(line, room))
    .map((line) => `${indent}${line}`)
    .join("\n");
}

function wrapLine(line: string, room: number): string[] {
  if (displayWidth(line) <= room) return [line];
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    const joined = current === "" ? word : `${current} ${word}`;
    if (current === "" || displayWidth(joined) <= room) current = joined;
    else {
      lines.push(current);
      current = word;
    }
  }
  return [...lines, current];
}

/** Rows under their titles, columns aligned; only the last column is wrapped. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  output: Output,
): string {
  const widths = titles.map((title, column) =>
    Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[column] ?? ""))),
  );
  const last = titles.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0);
  const room = output.columns === null ? null : Math.max(20, output.columns - before);
  const render = (cells: readonly string[]) => {
    const start = cells
      .slice(0, last)
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - displayWidth(cell) + 2))
      .join("");
    const [first = "", ...more] = wrap(cells[last] ?? "", room).split("\n");
    return [start + first, ...more.map((line) => " ".repeat(before) + line)]
      .map((line) => line.trimEnd())
      .join("\n");
  };
  return [output.style("bold", render(titles)), ...rows.map(render)].join("\n");
}

/** A time of the wire (ISO 8601, UTC) on this machine's clock: `2026-01-02 03:04:05`. */
export function showTime(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? showSafely(iso) : time.toLocaleString("sv-SE");
}

/** Seconds as people say them: `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function showDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Bytes in decimal units: `1.2 MB`. */
export function showBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 ? value : value.toFixed(1)} ${units[step]}`;
}

/** What happens on Ctrl-C and on a request to end. */
export type Interrupts = {
  /** Aborted by the first signal, unless something takes it in its own way. */
  readonly signal: AbortSignal;
  /** Runs `work`; a first signal meanwhile calls `onFirst` instead of aborting everything. */
  during<T>(onFirst: () => void, work: () => Promise<T>): Promise<T>;
};

/**
 * Listens to SIGINT, SIGTERM and SIGHUP: the first ends what runs in good order, the second leaves at once with `leave`.
 */
export function listenForInterrupts(leave: () => void): Interrupts {
  const controller = new AbortController();
  const state = { seen: false, onFirst: () => controller.abort() };
  const onSignal = () => {
    if (state.seen) return leave();
    state.seen = true;
    state.onFirst();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  return {
    signal: controller.signal,
    during: async (onFirst, work) => {
      const before = state.onFirst;
      state.onFirst = onFirst;
      try {
        return await work();
      } finally {
        state.onFirst = before;
      }
    },
  };
}
