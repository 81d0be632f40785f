export interface CsvOptions {
  delimiter?: string;
  trim?: boolean;
}

/** Splits text in rows and fields; quotes are doubled inside quoted fields. */
export function parseCsv(text: string, { delimiter = ',', trim = false }: CsvOptions = {}): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') {
        field += '"';
        i++;
      } else if (c === '"') quoted = false;
      else field += c;
    } else if (c === '"' && field === '') quoted = true;
    else if (c === delimiter) endField();
    else if (c === '\n') endRow();
    else if (c !== '\r') field += c;
  }
  if (field !== '' || row.length > 0) endRow();
  return rows;

  function endField() {
    row.push(trim ? field.trim() : field);
    field = '';
  }
  function endRow() {
    endField();
    rows.push(row);
    row = [];
  }
}

export function toRecords(rows: string[][]): Record<string, string>[] {
  const [header = [], ...body] = rows;
  return body.map((cells) => Object.fromEntries(header.map((name, i) => [name, cells[i] ?? ''])));
}

export function guessDelimiter(firstLine: string): string {
  const candidates = [',', ';', '\t', '|'];
  const count = (d: string) => firstLine.split(d).length;
  return candidates.reduce((best, d) => (count(d) > count(best) ? d : best));
}
