/**
 * A small template language: {{name}} inserts an escaped value,
 * {{{name}}} a raw one, {{#list}}...{{/list}} repeats.
 */
export function render(template, data) {
  const withSections = template.replace(
    /\{\{#([\w.]+)\}\}([\s\S]*?)\{\{\/\1\}\}/g,
    (_, path, body) => {
      const value = lookup(data, path);
      if (Array.isArray(value)) return value.map((item) => render(body, { ...data, ...wrap(item) })).join('');
      return value ? render(body, data) : '';
    },
  );
  return withSections
    .replace(/\{\{\{([\w.]+)\}\}\}/g, (_, path) => String(lookup(data, path) ?? ''))
    .replace(/\{\{([\w.]+)\}\}/g, (_, path) => escapeHtml(String(lookup(data, path) ?? '')));
}

function wrap(item) {
  return typeof item === 'object' ? item : { this: item };
}

function lookup(data, path) {
  return path.split('.').reduce((value, key) => value?.[key], data);
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (c) => ENTITIES[c]);
}
