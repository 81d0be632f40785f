import { describe, expect, test } from "vitest";
import { largestDocumentBytes } from "./document-limit.ts";
import { readDocument, type ReadResult } from "./read-document.ts";

function read(key: string, content: string | Uint8Array, mediaType?: string): ReadResult {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return readDocument({ bytes, key, ...(mediaType === undefined ? {} : { mediaType }) });
}

function utf16(text: string, bigEndian: boolean): Uint8Array {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return bigEndian ? bytes.swap16() : bytes;
}

describe("the format of a document", () => {
  test.each([
    ["notes/README.md", "markdown", null, "text/markdown"],
    ["a.TXT", "text", null, "text/plain"],
    ["LICENSE", "text", null, "text/plain"],
    ["go", "text", null, "text/plain"],
    ["odd.xyz", "text", null, "text/plain"],
    ["src/a.mts", "code", "typescript", "text/typescript"],
    ["a.tsx", "code", "tsx", "text/tsx"],
    ["a.h", "code", "c", "text/x-c"],
    ["Makefile", "code", "make", "text/x-makefile"],
    ["tsconfig.json", "code", "jsonc", "text/x-jsonc"],
    ["CMakeLists.txt", "code", "cmake", "text/x-cmake"],
  ])("%s is %s", (key, format, language, mediaType) => {
    expect(read(key, "some text")).toMatchObject({ format, language, mediaType });
  });

  test.each([
    ["text/markdown; charset=utf-8", "markdown", "text/markdown"],
    ["Text/HTML", "html", "text/html"],
    ["application/octet-stream", "text", "text/plain"],
    ["text/x-unheard-of", "text", "text/x-unheard-of"],
    ["application/x-yaml", "code", "application/x-yaml"],
  ])("the media type %s wins over the name", (mediaType, format, stored) => {
    expect(read("a.txt", "some text", mediaType)).toMatchObject({ format, mediaType: stored });
  });

  test("JSON kinds are recognised by +json", () => {
    expect(read("a", '{"a":1}', "application/ld+json").format).toBe("json");
  });

  test("a media type without a reader is refused with the valid ones", () => {
    expect(() => read("a.pdf", "x", "application/pdf")).toThrow(
      expect.objectContaining({
        code: "format_unsupported",
        message: expect.stringMatching(/application\/pdf.*text\/markdown/s),
      }),
    );
  });
});

describe("decoding", () => {
  test("byte order marks choose the encoding and are not part of the text", () => {
    expect(read("a.txt", "\ufeffGröße").text).toBe("Größe");
    expect(read("a.txt", utf16("Größe 🙂", false)).text).toBe("Größe 🙂");
    expect(read("a.txt", utf16("Größe 🙂", true)).text).toBe("Größe 🙂");
  });

  test("the charset of the media type and of an HTML page is honoured", () => {
    const bytes = Buffer.from([0x47, 0x72, 0xf6, 0xdf, 0x65, 0x20, 0x80]);
    expect(read("a.txt", bytes, "text/plain; charset=windows-1252").text).toBe("Größe €");
    const page = Buffer.concat([Buffer.from('<meta charset="iso-8859-1"><p>'), bytes]);
    expect(read("a.html", page).text).toBe("Größe €");
  });

  test.each([
    ["a stray byte", Buffer.from([0x61, 0x62, 0xff, 0x63]), "byte 2"],
    ["a cut character at the end", Buffer.from([0x61, 0xe2, 0x82]), "byte 1"],
    ["a lone surrogate in UTF-16", Buffer.from([0xff, 0xfe, 0x41, 0, 0, 0xd8, 0x42, 0]), "byte 4"],
    ["half a unit of UTF-16", Buffer.from([0xff, 0xfe, 0x41, 0, 0x42]), "byte 4"],
  ])("%s is refused with its place, nothing is replaced", (_, bytes, place) => {
    expect(() => read("a.txt", bytes)).toThrow(
      expect.objectContaining({
        code: "encoding_invalid",
        message: expect.stringContaining(place),
      }),
    );
  });

  test("a fault far into a file is named, and a genuine U+FFFD is none", () => {
    const fine = Buffer.from("\ufffd text ".repeat(2000));
    expect(read("a.txt", fine).text.length).toBe(2000 * 7);
    expect(() => read("a.txt", Buffer.concat([fine, Buffer.from([0xc3, 0x28])]))).toThrow(
      `byte ${fine.length} `,
    );
  });

  test("an unknown charset is refused", () => {
    expect(() => read("a.txt", "x", "text/plain; charset=klingon")).toThrow(/klingon.*utf-8/s);
  });
});

describe("content that is not what the name says", () => {
  test.each([
    ["a.txt", "%PDF-1.7 rest", "looks like a PDF"],
    ["a.md", "PK\x03\x04rest", "a zip archive"],
    ["a.ts", "\x89PNG\r\n\x1a\nrest", "a PNG image"],
    ["a.csv", "MZ\x90\0\x03", "a Windows program"],
    ["a.txt", "text\0text", "a NUL byte at offset 4"],
    ["a.txt", "t\0e\0x\0t\0t\0e\0x\0t\0", "UTF-16 without a byte order mark"],
  ])("%s is refused by what was found: %#", (key, content, found) => {
    expect(() => read(key, Buffer.from(content, "latin1"))).toThrow(
      expect.objectContaining({ code: "format_invalid", message: expect.stringContaining(found) }),
    );
  });

  test("under an unknown name binary content has no reader, plain letters are text", () => {
    expect(() => read("a.pdf", "%PDF-1.7")).toThrow(
      expect.objectContaining({ code: "format_unsupported" }),
    );
    expect(read("a.bmpish", "BM is short for benchmark. MZ is not.").format).toBe("text");
    expect(read("a.txt", "RIFF and GGUF are formats").text).toContain("RIFF");
  });

  test("U+0000 is refused in UTF-16 too", () => {
    expect(() => read("a.txt", utf16("a\0b", false))).toThrow(/U\+0000/);
  });

  test("a document without visible text is empty", () => {
    for (const [key, content] of [
      ["a.md", ""],
      ["a.txt", " \n\t\u00a0"],
      ["a.txt", "\u200b\u200e\ufeff"],
      ["a.html", "<title>Only a title</title><script>code()</script>"],
    ] as const) {
      expect(() => read(key, content)).toThrow(expect.objectContaining({ code: "document_empty" }));
    }
  });

  test("a document above the limit is refused with both sizes", () => {
    expect(() => read("a.txt", new Uint8Array(largestDocumentBytes + 1))).toThrow(
      expect.objectContaining({
        code: "document_too_large",
        message: expect.stringMatching(/10000001.*10000000/),
      }),
    );
  });
});

describe("titles and lines", () => {
  test.each([
    ['---\ntitle: "The guide"\n---\n# Other\n', "The guide"],
    ["+++\ntitle = 'Guide'\n+++\ntext", "Guide"],
    ["intro\n\n# First #\n\n# Second", "First"],
    ["Title\n=====\n\ntext", "Title"],
    ["## Only a second level\n", null],
    ["```\n# comment\n```\n", null],
    ["---\n\nnot front matter\ntitle: no\n\n---\n", null],
  ])("Markdown %j has the title %j", (content, title) => {
    expect(read("a.md", content).title).toBe(title);
  });

  test("lines end with \\n, \\r\\n or \\r, and text is kept as it is", () => {
    const content = "one\r\ntwo\rthree\nfour";
    const { text, lineOf } = read("a.txt", content);
    expect(text).toBe(content);
    expect(["one", "two", "three", "four"].map((word) => lineOf(text.indexOf(word)))).toEqual([
      1, 2, 3, 4,
    ]);
  });
});

describe("HTML", () => {
  const page = [
    "<!doctype html><html><head><title> The  page </title>",
    "<style>p { color: red }</style></head><body>",
    "<nav><a href=/>Home</a></nav>",
    "<h1>Main <em>heading</em></h1>",
    "<p>First &amp; second",
    "line.</p><script>alert(1)</script>",
    "<ul><li>one<li>two</ul>",
    "<table><tr><td>a<td>b<tr><td>c</table>",
    "<pre>",
    "  kept",
    "    as is</pre>",
    "<h2>Part</h2>text<br>after<p hidden>secret</p>",
  ].join("\n");

  test("gives its text without scripts, styles and navigation", () => {
    const { text, title, headings } = read("page.html", page);
    expect(title).toBe("The page");
    expect(text).toBe(
      "Main heading\n\nFirst & second line.\n\none\ntwo\n\na\tb\nc\n\n  kept\n    as is\n\nPart\n\ntext\nafter",
    );
    expect(headings).toEqual([
      { title: "Main heading", level: 1, at: 0 },
      { title: "Part", level: 2, at: text.indexOf("Part") },
    ]);
  });

  test("knows the line of the file on which each word stands", () => {
    const { text, lineOf } = read("page.html", page);
    for (const word of ["Main", "First", "line.", "two", "b", "kept", "as is", "Part", "after"]) {
      const expected = page
        .split("\n")
        .findIndex((line) => new RegExp(`(?<![<\\w/])${word}`).test(line));
      expect([word, lineOf(text.indexOf(word))]).toEqual([word, expected + 1]);
    }
  });

  test("takes the first h1 where there is no title", () => {
    expect(read("a.html", "<h2>no</h2><h1>yes</h1>text").title).toBe("yes");
  });

  test("deep nesting overflows no stack; above 10,000 levels it is refused", () => {
    const deep = `${"<div>".repeat(9_000)}deep text`;
    expect(read("a.html", deep).text).toBe("deep text");
    expect(() => read("a.html", `${"<div>".repeat(100_000)}text`)).toThrow(
      expect.objectContaining({
        code: "format_invalid",
        message: expect.stringContaining("10000"),
      }),
    );
  });
});

describe("CSV", () => {
  const rowsOf = (content: string, key = "a.csv"): string[] => {
    const { text, spans } = read(key, content);
    return spans.map((span) => text.slice(span.from, span.to).trim());
  };

  test.each([
    [
      "quotes, line ends and characters of many bytes",
      'id,t\n1,"a ""b""\nc"\n2,Größe 東京 🙂\n',
      ["id,t", '1,"a ""b""\nc"', "2,Größe 東京 🙂"],
    ],
    ["CRLF", 'a,b\r\n"x\r\ny",z\r\n', ["a,b", '"x\r\ny",z']],
    ["a lone CR", "a,b\r1,2\r", ["a,b", "1,2"]],
    ["semicolons", 'a;b\n1;"x\ny"\n', ["a;b", '1;"x\ny"']],
    ["ragged rows and blank lines", "a,b\n\n1\n2,3,4\n", ["a,b", "1", "2,3,4"]],
    ["quotes inside a field", 'a\n5" pipe\n"x"y\n', ["a", '5" pipe', '"x"y']],
    ["a header alone", "a,b\n", ["a,b"]],
  ])("keeps rows whole: %s", (_, content, rows) => {
    expect(rowsOf(content)).toEqual(rows);
  });

  test("tabs divide a .tsv", () => {
    expect(rowsOf('a\tb\n1\t"x\ny"\n', "a.tsv")).toEqual(["a\tb", '1\t"x\ny"']);
  });

  test("a quote that is never closed is refused with its line", () => {
    expect(() => read("a.csv", 'a,b\n1,2\n3,"open\n4,5\n')).toThrow(
      expect.objectContaining({
        code: "format_invalid",
        message: expect.stringContaining("line 3"),
      }),
    );
  });
});

describe("JSON", () => {
  test.each([
    ['{"a":1,}', "character 7"],
    ['{\n"a": x}', "character 7 (line 2)"],
    ["[1,", "character 3"],
    ["[1,]", "character 3"],
    ['{"a":1} x', "character 8"],
    [`["at position 99", nope]`, "character 20"],
  ])("%j is refused with the place of the fault", (content, place) => {
    expect(() => read("a.json", content)).toThrow(
      expect.objectContaining({ code: "format_invalid", message: expect.stringContaining(place) }),
    );
  });

  test("may nest 100,000 arrays and objects, and not one more; brackets in strings are none", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}"[{\\"["${"]".repeat(depth)}`;
    expect(read("a.json", nested(100_000)).format).toBe("json");
    expect(() => read("a.json", nested(100_001))).toThrow(
      /character 100000 .*nests more than 100000 arrays and objects/,
    );
    expect(read("a.json", `[${"[],".repeat(150_000)}[]]`).format).toBe("json");
  });

  test("of JSONL every line must be valid; blank lines are none", () => {
    expect(read("a.jsonl", '{"a":1}\r\n\n[2]\n').spans).toHaveLength(2);
    expect(() => read("a.jsonl", '{"a":1}\n{"b":}\n')).toThrow(/line 2/);
  });

  test("names such as __proto__ and escaped lone surrogates are text", () => {
    const content = String.raw`{"__proto__":"\ud800"}`;
    expect(read("a.json", content).text).toBe(content);
  });
});
