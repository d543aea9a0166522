/** Opens a page in the user's browser, as far as this machine has one. */
import { spawn } from 'node:child_process';
import type { CliContext } from '../context.ts';

/** Never fails: the address was printed too. `url` goes as one argument, through no shell. */
export function openBrowser({ env, runtime }: Pick<CliContext, 'env' | 'runtime'>, url: string): void {
  const [program, ...args] = commandFor(runtime.platform);
  const child = spawn(program, [...args, url], { env: { ...env }, stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}

function commandFor(platform: string): [string, ...string[]] {
  if (platform === 'darwin') return ['open'];
  return platform === 'win32' ? ['rundll32', 'url.dll,FileProtocolHandler'] : ['xdg-open'];
}
