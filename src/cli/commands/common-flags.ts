/** The flags that several commands share, described once. */
export const configFlag = {
  kind: 'parsed',
  parse: String,
  optional: true,
  placeholder: 'FILE',
  brief: 'Configuration file. Default: $MODFERRY_CONFIG, else ./modferry.yaml if it exists',
} as const;

export const dataFlag = {
  kind: 'parsed',
  parse: String,
  optional: true,
  placeholder: 'DIR',
  brief: 'Data folder. Default: as configured, else ./modferry-data',
} as const;

export const jsonFlag = {
  kind: 'boolean',
  optional: true,
  withNegated: false,
  brief: 'Print JSON for scripts',
} as const;

export const yesFlag = { kind: 'boolean', optional: true, withNegated: false } as const;

export const reasonFlag = { kind: 'parsed', parse: parseReason, placeholder: 'TEXT' } as const;

function parseReason(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') throw new Error('write in a few words why');
  if (trimmed.length > 500) throw new Error('write no more than 500 characters');
  return trimmed;
}
