/** `go mod download` of the corpus project on a machine that has nothing, timed without the clean-up. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { copyProject } from '../../test/kit/corpus.ts';
import { goHome, runGo } from '../../test/kit/go.ts';
import { BenchError } from './bench-error.ts';

const run = promisify(execFile);

/** Seconds. The client's checksum database is off on every side: it is not what is compared. */
export async function downloadSeconds(goProxy: string): Promise<number> {
  await using home = await goHome();
  await using project = await copyProject();
  // What the last round wrote must not be written out during this one.
  await run('sync');
  const env = { GOPROXY: goProxy, GOSUMDB: 'off' };
  const result = await runGo(['mod', 'download'], { cwd: project.path, home, env, timeoutMs: 300_000 });
  if (result.code !== 0) {
    throw new BenchError('client_failed', `go mod download from ${goProxy} failed: ${result.stderr}`);
  }
  return result.tookMs / 1000;
}
