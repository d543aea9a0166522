/** The other servers of the bench that are Node programs: the fake upstream and the bare yardstick. */
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';

const repository = join(import.meta.dirname, '../..');

export interface BenchUpstream extends AsyncDisposable {
  readonly url: string;
  /** Of the checksum database that it offers; undefined: none. */
  readonly verifierKey: string | undefined;
  /** What it served since the last call. */
  served(): Promise<{ requests: number; bytes: number }>;
  readonly close: () => Promise<void>;
}

/**
 * A GOPROXY server over a folder in Go's download-cache layout; `latencyMs` before the first byte of each reply.
 * `sumdb`: it offers a checksum database that has all of the folder.
 */
export async function startUpstream(root: string, latencyMs: number, sumdb = false): Promise<BenchUpstream> {
  const main = join(repository, 'test/kit/fake-upstream-main.ts');
  const args = ['--root', root, '--latency', String(latencyMs), ...(sumdb ? ['--sumdb'] : [])];
  const child = startChild([process.execPath, main, ...args]);
  const url = await addressOf(child);
  return {
    url,
    verifierKey: /checksum database (\S+)\n/.exec(child.stdout())?.[1],
    async served() {
      const before = child.stdout().length;
      child.signal('SIGUSR2');
      const [, requests, bytes] = await child.waitFor(/served (\d+) requests (\d+) bytes\n/, before);
      return { requests: Number(requests), bytes: Number(bytes) };
    },
    close: child.close,
    [Symbol.asyncDispose]: child.close,
  };
}

/** A node:http server with the bytes of `file` in memory, in one process. */
export async function startBareNode(file: string): Promise<{ url: string; pid: number } & AsyncDisposable> {
  const child = startChild([process.execPath, join(import.meta.dirname, 'bare-node-main.ts'), file]);
  return { url: await addressOf(child), pid: child.pid, [Symbol.asyncDispose]: child.close };
}

async function addressOf(child: Child): Promise<string> {
  try {
    const [, url = ''] = await child.waitFor(/listening on (http:\S+)\n/);
    return url;
  } catch (error) {
    await child.close();
    throw error;
  }
}
