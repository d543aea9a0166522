/** What the cascade tests share: nodes with quick health, and who answered what by access log and status. */
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Answer, ask, eventually, folder, freePort, runModferry, upstream } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';

type Entry = string | { url: string; name: string; level?: number };

interface NodeOptions {
  readonly upstreams: readonly Entry[];
  /** Default: any free one. */
  readonly port?: number;
  readonly dataDir?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

const quickHealth = {
  probe: { every: '200ms', idle_every: '200ms', out_every: '200ms', timeout: '300ms' },
  out_for: '300ms',
  slow_start: '0s',
  switch_back_after: '500ms',
};

/** One modferry of a cascade, with every request in its access log and everything that takes time made short. */
export async function node({
  upstreams,
  port = 0,
  dataDir,
  config = {},
}: NodeOptions): Promise<ModferryProcess> {
  const dir = await folder('node');
  const data = dataDir ?? join(dir.path, 'data');
  const file = join(dir.path, 'modferry.yaml');
  const whole = {
    look_ahead: { enabled: false },
    health: quickHealth,
    log: { access: 'all' },
    upstreams,
    ...config,
  };
  await writeFile(file, JSON.stringify(whole));
  const started = await startModferry({
    wholeArgs: ['serve', '--listen', `127.0.0.1:${port}`, '--data', data, '--config', file],
    dataDir: data,
  });
  onTestFinished(started.close);
  return started;
}

interface Line {
  readonly id: string;
  readonly status: number;
  readonly source: string;
  readonly artifact: string;
}

/** What this process has written into its access log so far. */
export function linesOf(of: ModferryProcess): Line[] {
  return `${of.stdout()}\n${of.stderr()}`
    .split('\n')
    .filter((line) => line.includes('"msg":"request"'))
    .map((line) => JSON.parse(line) as Line);
}

let count = 0;

/** A module that nobody has asked for yet. */
export function fresh(source: FakeUpstream): string {
  count += 1;
  const module = fakeModule({ path: `example.com/m${count}` });
  source.add(module);
  return `/example.com/m${count}/@v/v1.0.0.mod`;
}

interface Fetched extends Answer {
  /** As in the access log: `upstream:NAME`. */
  readonly source: string;
  readonly tookMs: number;
}

/** Asks, and tells from the access log who answered. */
export async function fetchFrom(of: ModferryProcess, path: string): Promise<Fetched> {
  count += 1;
  const id = `ask-${count}`;
  const startedMs = performance.now();
  const answer = await ask(of.url, path, { headers: { 'x-request-id': id } });
  const tookMs = performance.now() - startedMs;
  const line = await eventually(
    async () => linesOf(of).find((each) => each.id === id),
    (found) => found !== undefined,
  );
  return { ...answer, source: line?.source ?? '', tookMs };
}

interface Figures {
  readonly name: string;
  readonly state: string;
  readonly isModferry: boolean;
  readonly favouriteOf: readonly string[];
  readonly windows: { readonly '5m': { readonly failures: number } };
}

export async function figuresOf(of: ModferryProcess, name: string): Promise<Figures> {
  const { code, stdout, stderr } = await runModferry(['status', '--json', '--data', of.dataDir]);
  expect(code, stderr).toBe(0);
  const { upstreams } = JSON.parse(stdout) as { upstreams: readonly Figures[] };
  const found = upstreams.find((each) => each.name === name);
  if (found === undefined) return expect.fail(`${name} is not in the status: ${stdout}`);
  return found;
}

interface FakeParent {
  readonly url: string;
  /** What it was asked so far, probes left out. */
  readonly asked: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

/** A server that answers as a modferry and knows no module: for what a child tells its parent. */
export async function fakeParent(): Promise<FakeParent> {
  const asked: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    response.setHeader('x-modferry', '1.0.0');
    if (path === '/readyz') {
      response.end('ready\n');
      return;
    }
    if (path.includes('example.com/')) asked.push({ path, headers: request.headers });
    response.writeHead(404).end('not found\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') return expect.fail('no port');
  return { url: `http://127.0.0.1:${address.port}`, asked };
}

/** edge asks region (level 1), then root (level 2); region asks root; root asks the mirror. */
export async function cascade(
  options: { region?: Record<string, unknown>; edge?: Record<string, unknown> } = {},
) {
  const source = await upstream();
  const root = await node({ upstreams: [source.url] });
  const port = await freePort();
  const regionData = join((await folder('region')).path, 'data');
  const startRegion = () =>
    node({
      upstreams: [{ url: root.url, name: 'root' }],
      port,
      dataDir: regionData,
      config: options.region ?? {},
    });
  const region = await startRegion();
  const edge = await node({
    upstreams: [
      { url: `http://127.0.0.1:${port}`, name: 'region', level: 1 },
      { url: root.url, name: 'root', level: 2 },
    ],
    config: options.edge ?? {},
  });
  return { source, root, region, edge, startRegion };
}
