/** A site with go-import pages, by https on a port of 127.0.0.1, and a finder that takes every name for it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { afterAll, onTestFinished } from 'vitest';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import { testAuthority } from '../../../test/kit/tls.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import {
  createRepositoryFinder,
  type GuardedFinder,
  type RepositoryFinderOptions,
} from './repository-finder.ts';
import type { Resolve, SsrfGuardOptions } from './ssrf-guard.ts';

export interface TestSite {
  readonly finder: GuardedFinder;
  readonly clock: FakeClock;
  readonly port: number;
  readonly caFile: string;
  /** Host and path of each request, in order. */
  readonly asked: string[];
  readonly requests: IncomingMessage[];
}

export type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void);

/** One for all tests of a file: making them takes longer than most tests. */
let certificates: ReturnType<typeof makeCertificates> | undefined;

async function makeCertificates() {
  const dir = await tempDir('site');
  const authority = await testAuthority(dir.path);
  const { cert, key } = await authority.issue({ names: ['*.example.test', 'localhost'] });
  return { dir, authority, cert, key };
}

afterAll(async () => {
  await (await certificates)?.dir.remove();
});

/** By host and path without query; others are 404. */
export async function testSite(
  pages: Readonly<Record<string, Answer>>,
  options: Partial<Omit<RepositoryFinderOptions, 'guard'>> & { readonly guard?: SsrfGuardOptions } = {},
): Promise<TestSite> {
  certificates ??= makeCertificates();
  const { authority, cert, key } = await certificates;
  const asked: string[] = [];
  const requests: IncomingMessage[] = [];
  const server = createServer({ cert, key }, (request, response) => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    const url = new URL(request.url ?? '/', 'https://x');
    const path = `${host}${url.pathname === '/' ? '' : url.pathname}`;
    asked.push(path);
    requests.push(request);
    const answer = pages[path];
    if (answer === undefined) response.writeHead(404).end('there is nothing: SECRET-BODY');
    else if (typeof answer === 'string') response.setHeader('content-type', 'text/html').end(answer);
    else answer(request, response);
  });
  const { port, close } = await listenOn(server);
  onTestFinished(close);
  const clock = new FakeClock();
  const finder = createRepositoryFinder({
    caFile: authority.certFile,
    version: 'test',
    clock,
    sitePorts: { https: port, http: 1 },
    ...options,
    guard: { allowAddresses: ['127.0.0.1'], resolve: toSelf, ...options.guard },
  });
  onTestFinished(() => finder.close());
  return { finder, clock, port, caFile: authority.certFile, asked, requests };
}

const toSelf: Resolve = async () => [{ address: '127.0.0.1', family: 4 }];

export function page(...tags: readonly string[]): string {
  const metas = tags.map((content) => `<meta name="go-import" content="${content}">`).join('\n');
  return `<!DOCTYPE html><html><head><meta charset=utf-8>${metas}</head><body>SECRET-BODY</body></html>`;
}

export const never = new AbortController().signal;
