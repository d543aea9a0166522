/** What commands that speak to a running modferry share: finding it, and saying so when there is none. */
import { type AdminTarget, adminSockets, askAllRunning, askRunning } from './admin-client.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './context.ts';
import { type FolderFlags, type FolderSettings, loadFolder } from './settings.ts';

/** How long the process may be silent (default 30 s), and what breaks the question off. */
export type Patience = Pick<AdminTarget, 'timeoutMs' | 'signal'>;

export interface Running {
  /** Absolute. */
  readonly dataDir: string;
  /** Asks one live process. Rejects with CliError `unavailable` when there is none, `failed` when it refuses. */
  ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>>;
  /** As `ask`; resolves to undefined when there is none. */
  askIfAny(
    method: 'GET' | 'POST',
    path: string,
    body?: object,
    patience?: Patience,
  ): Promise<Record<string, unknown> | undefined>;
  /** Asks every live process on the folder. Resolves to no answer at all when there is none. */
  askAll(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>[]>;
}

/** Rejects with ConfigError. */
export async function findRunning(context: CliContext, flags: FolderFlags): Promise<Running> {
  return await runningOn(context, await loadFolder(context, flags));
}

/** As `findRunning`, where the settings are loaded already. */
export async function runningOn(
  context: Pick<CliContext, 'cwd'>,
  { dataDir, loaded }: FolderSettings,
): Promise<Running> {
  const sockets = await adminSockets(dataDir, loaded.config.adminSocket, context.cwd);
  return {
    dataDir,
    askIfAny: (method, path, body = {}, patience = {}) =>
      askRunning(sockets, { method, path, ...patience }, body),
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
