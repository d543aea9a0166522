/** What commands that speak to a running modferry share: finding it, and saying so when there is none. */
import { adminSockets, askAllRunning, askRunning } from './admin-client.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './context.ts';
import { type FolderFlags, loadFolder } from './settings.ts';

export interface Running {
  /** Absolute. */
  readonly dataDir: string;
  /** Asks one live process. Rejects with CliError `unavailable` when there is none, `failed` when it refuses. */
  ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>>;
  /** Asks every live process on the folder. Resolves to no answer at all when there is none. */
  askAll(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>[]>;
}

/** Rejects with ConfigError. */
export async function findRunning(context: CliContext, flags: FolderFlags): Promise<Running> {
  const { dataDir, loaded } = await loadFolder(context, flags);
  const sockets = await adminSockets(dataDir, loaded.config.adminSocket, context.cwd);
  return {
    dataDir,
    async ask(method, path, body = {}) {
      const answer = await askRunning(sockets, { method, path }, body);
      if (answer !== undefined) return answer;
      throw new CliError(
        'unavailable',
        `no modferry is running on ${dataDir}; start it with modferry serve, or name its folder with --data`,
      );
    },
    askAll: (method, path, body = {}) => askAllRunning(sockets, { method, path }, body),
  };
}
