/** `modferry unpublish`: takes a version back for good. */
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeJsonLine } from '../format.ts';
import { parseModuleArgument } from '../module-argument.ts';
import { openClient, refusalOf, type ServerFlags } from '../publish/open-client.ts';

export interface UnpublishFlags extends ServerFlags {
  readonly reason: string;
  readonly json?: boolean;
}

/** Rejects with CliError: `usage`, `absent`, `failed` (refused, with what the server said), `unavailable`, `interrupted`. */
export async function unpublish(this: CliContext, flags: UnpublishFlags, what: string): Promise<void> {
  const { path, version } = parseModuleArgument(what);
  if (version === undefined) {
    throw new CliError('usage', `name the version too: ${path}@v1.2.3; each one is taken back by itself`);
  }
  const abort = new AbortController();
  const unlisten = this.onSignal('SIGINT', () => abort.abort(new CliError('interrupted', 'interrupted')));
  const client = await openClient(this, flags);
  try {
    const answer = await client.unpublish({ path, version }, flags.reason, abort.signal);
    if (answer.status !== 200) throw refusalOf(answer, `${path}@${version} was not unpublished`);
    if (flags.json === true)
      writeJsonLine(this.stdout, { outcome: 'unpublished', module: path, version, reason: flags.reason });
    else
      this.stdout.write(
        `unpublished ${path}@${version}; its name stays taken, so the fix needs a new version\n`,
      );
  } finally {
    unlisten();
    client.close();
  }
}
