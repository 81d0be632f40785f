const SPECIAL: Record<string, string> = {
  ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', þ: 'th',
};

/** Makes a text fit for an address: small letters, digits and hyphens only. */
export function slugify(text: string, maxLength = 80): string {
  const plain = foldAccents(text.toLowerCase());
  const slug = plain.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  if (slug.length <= maxLength) return slug;
  const cut = slug.slice(0, maxLength + 1);
  const lastHyphen = cut.lastIndexOf('-');
  return lastHyphen > 0 ? cut.slice(0, lastHyphen) : slug.slice(0, maxLength);
}

/** Removes diacritics, so that "café" and "cafe" compare equal. */
export function foldAccents(text: string): string {
  return text
    .replace(/[ßæœøłđþ]/g, (c) => SPECIAL[c] ?? c)
    .normalize('NFD')
    .replace(/\p{M}/gu, '');
}

export function uniqueSlug(text: string, taken: ReadonlySet<string>): string {
  const base = slugify(text) || 'untitled';
  let candidate = base;
  for (let n = 2; taken.has(candidate); n++) candidate = `${base}-${n}`;
  return candidate;
}

export function camelToKebab(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
}
