import { EncodingInvalidError, FormatInvalidError } from "#base/errors/index.ts";

/** How far into a file its declared encoding is looked for (HTML's prescan). */
const declarationBytes = 1024;

/**
 * The text of a file without its byte order mark. UTF-8 unless a byte order mark or `charset` (a WHATWG label) says otherwise;
 * nothing is replaced: what does not decode is refused with the offset of the fault.
 * @throws EncodingInvalidError, FormatInvalidError where the text holds U+0000.
 */
export function decodeText(bytes: Uint8Array, charset: string | null, key: string): string {
  const marked = byteOrderMark(bytes);
  const label = marked ?? charset ?? "utf-8";
  const decoder = decoderOf(label, key);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (thrown) {
    const offset = faultOffset(bytes, label);
    const place = offset === null ? "" : `: byte ${offset} does not decode`;
    throw new EncodingInvalidError(
      `${key} is not valid ${decoder.encoding.toUpperCase()}${place}. Save it as UTF-8, or name its encoding in the media type, such as text/plain; charset=windows-1252.`,
      { cause: thrown, details: { key, offset, encoding: decoder.encoding } },
    );
  }
  const zero = text.indexOf("\0");
  if (zero >= 0) {
    throw new FormatInvalidError(
      `${key} is not text: it holds the character U+0000 at offset ${zero}.`,
    );
  }
  return text.toWellFormed();
}

/** The encoding that a byte order mark names, or null. */
export function byteOrderMark(bytes: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" | null {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return null;
}

/** The encoding that an HTML file declares in its first kilobyte, or null. */
export function declaredCharset(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, declarationBytes)).toString("latin1");
  const label = /<meta[^>]{0,200}charset\s{0,10}=\s{0,10}["']?([\w-]{1,40})/i.exec(start)?.[1];
  // A declaration that could be read as single bytes cannot be UTF-16, whatever it says (HTML, 13.2.3.2).
  return label === undefined || /^utf-?16/i.test(label) ? null : label;
}

function decoderOf(label: string, key: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(label, { fatal: true });
  } catch (thrown) {
    throw new EncodingInvalidError(
      `${key} names the encoding "${label}", which is unknown. Valid are the names of the Encoding Standard, such as utf-8, utf-16le, windows-1252 and shift_jis.`,
      { cause: thrown },
    );
  }
}

/** Offset of the first byte that does not come back when what decodes is encoded again; null for encodings that cannot be written here. */
function faultOffset(bytes: Uint8Array, label: string): number | null {
  const writable = { "utf-8": "utf8", "utf-16le": "utf16le", "utf-16be": "utf16le" } as const;
  const encoding = new TextDecoder(label).encoding as keyof typeof writable;
  if (!Object.hasOwn(writable, encoding)) return null;
  const lenient = new TextDecoder(label, { ignoreBOM: true }).decode(bytes);
  const again = Buffer.from(lenient, writable[encoding]);
  if (encoding === "utf-16be") again.swap16();
  const differs = bytes.findIndex((byte, index) => byte !== again[index]);
  return differs < 0 ? bytes.length : differs;
}
