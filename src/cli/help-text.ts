/** The shape of every `--help`: a paragraph, then examples with what each does. */

/** `[command line, what it does]`. */
export type Example = readonly [line: string, effect: string];

export function helpText(paragraph: string, examples: readonly Example[]): string {
  const shown = examples.map(([line, effect]) => `  # ${effect}\n  ${line}`);
  return `${paragraph}\n\nEXAMPLES\n${shown.join('\n')}`;
}
