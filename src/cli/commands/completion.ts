/** `modferry completion`: the script that teaches a shell our commands and flags. */
import { commandTable } from '../command-table.ts';
import { renderCompletion, type Shell } from '../completion-scripts.ts';
import type { CliContext } from '../context.ts';

export async function completion(this: CliContext, _flags: object, shell: Shell): Promise<void> {
  // The application imports this command lazily; importing it back at the top would be a circle.
  const { root } = await import('../routes.ts');
  this.stdout.write(renderCompletion(shell, commandTable(root)));
}
