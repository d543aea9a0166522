import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeCli, tempFolder } from '../test-kit.ts';

interface FakeServer {
  readonly url: string;
  readonly server: Server;
  /** `METHOD path`, in order, without the probe. */
  readonly asked: string[];
  /** Most requests that were open at once. */
  peak(): number;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A modferry in small: HEAD with Disable-Module-Fetch answers from `stored`, GET stores. `override` goes first. */
async function startServer(
  stored: readonly string[] = [],
  override: Answer = () => false,
): Promise<FakeServer> {
  const have = new Set(stored);
  const asked: string[] = [];
  let open = 0;
  let peak = 0;
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url === '/healthz') {
      response.end('ok\n');
      return;
    }
    asked.push(`${request.method} ${url}`);
    open += 1;
    peak = Math.max(peak, open);
    response.on('close', () => {
      open -= 1;
    });
    if (override(request, response)) return;
    if (request.headers['disable-module-fetch'] === 'true') {
      response.writeHead(have.has(url) ? 200 : 404).end();
      return;
    }
    have.add(url);
    // Answered a turn later, so that requests can overlap.
    setImmediate(() => response.end('x'.repeat(100)));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, server, asked, peak: () => peak };
}

const list = 'github.com/Azure/x@v1.0.0\ngolang.org/x/mod@v0.20.0\n';
const azure = '/github.com/!azure/x/@v/v1.0.0';
const mod = '/golang.org/x/mod/@v/v0.20.0';

describe('modferry warm', () => {
  it('has everything fetched that is not stored', async () => {
    const { url, asked } = await startServer([`${mod}.info`, `${mod}.mod`, `${mod}.zip`]);
    const { code, stdout, stderr } = await fakeCli({ stdin: list }).run('warm', '--url', url);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '2 versions: 1 fetched (300 B), 1 already stored\n',
      stderr: '',
    });
    const gets = asked.filter((line) => line.startsWith('GET'));
    expect(gets).toEqual([`GET ${azure}.info`, `GET ${azure}.mod`, `GET ${azure}.zip`]);
  });

  it('fetches nothing twice when run again', async () => {
    const { url, asked } = await startServer();
    const cli = fakeCli({ stdin: list });
    await cli.run('warm', '--url', url);
    asked.length = 0;
    const { stdout } = await cli.run('warm', '--url', url);
    expect(stdout).toBe('2 versions: 0 fetched (0 B), 2 already stored\n');
    expect(asked.every((line) => line.startsWith('HEAD'))).toBe(true);
  });

  it('ends with 1 and the list of what failed and why', async () => {
    const { url } = await startServer([], (request, response) => {
      if (request.method !== 'GET' || request.url !== `${azure}.zip`) return false;
      response
        .writeHead(502)
        .end('no source has it\n\ngoproxy.cn: timeout after 5 s\ngoproxy.io: 404\nmore\n');
      return true;
    });
    const { code, stdout, stderr } = await fakeCli({ stdin: list }).run('warm', '--url', url);
    expect(code).toBe(1);
    expect(stdout).toBe('2 versions: 1 fetched (300 B), 0 already stored, 1 failed\n');
    expect(stderr).toBe(
      'modferry: 1 version could not be had:\n' +
        '  github.com/Azure/x@v1.0.0 .zip: 502 no source has it; goproxy.cn: timeout after 5 s; goproxy.io: 404\n',
    );
  });

  it('counts a body that breaks off as failed', async () => {
    const { url } = await startServer([], (request, response) => {
      if (request.method !== 'GET' || request.url !== `${azure}.zip`) return false;
      response.writeHead(200, { 'content-length': 1000 });
      response.write('half', () => response.destroy());
      return true;
    });
    const { code, stdout } = await fakeCli({ stdin: list }).run('warm', '--json', '--url', url);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      total: 2,
      fetched: 1,
      failed: [{ module: 'github.com/Azure/x', version: 'v1.0.0', artifact: '.zip', status: null }],
    });
  });

  it('resolves a version query and warms what it names', async () => {
    const { url, asked } = await startServer([], (request, response) => {
      if (request.url === '/golang.org/x/mod/@latest') response.end('{"Version":"v0.20.0"}');
      else if (request.url === '/golang.org/x/mod/@v/master.info')
        response.writeHead(404).end('unknown revision\n');
      else return false;
      return true;
    });
    const stdin = 'golang.org/x/mod@latest\ngolang.org/x/mod@master\n';
    const { code, stderr } = await fakeCli({ stdin }).run('warm', '--url', url);
    expect(code).toBe(1);
    expect(stderr).toContain('golang.org/x/mod@master query: 404 unknown revision');
    expect(asked).toContain(`GET ${mod}.zip`);
  });

  it('asks for as many at once as it may, and no more', async () => {
    const held: ServerResponse[] = [];
    // The first answers wait for each other: with fewer requests at once none would come.
    const server = await startServer([], (request, response) => {
      if (request.method !== 'GET' || held.length === 3) return false;
      held.push(response);
      if (held.length === 3) for (const waiting of held) waiting.end('x');
      return true;
    });
    const stdin = Array.from({ length: 40 }, (_, index) => `example.com/m${index}@v1.0.0`).join('\n');
    const { code } = await fakeCli({ stdin }).run('warm', '--url', server.url, '--concurrency', '3');
    expect({ code, peak: server.peak() }).toEqual({ code: 0, peak: 3 });
  });

  it('reads files, several of them, and the path prefix of the server', async () => {
    const { url, asked } = await startServer();
    const cwd = tempFolder();
    writeFileSync(join(cwd, 'go.sum'), `golang.org/x/mod v0.20.0/go.mod h1:${'A'.repeat(43)}=\n`);
    writeFileSync(join(cwd, 'more.txt'), 'github.com/Azure/x@v1.0.0');
    const { code, stdout } = await fakeCli({ cwd }).run('warm', 'go.sum', 'more.txt', '--url', `${url}/go/`);
    expect(code).toBe(0);
    expect(stdout).toContain('2 versions: 2 fetched (400 B)');
    expect(asked).toContain(`GET /go${mod}.mod`);
    expect(asked).not.toContain(`GET /go${mod}.zip`);
  });

  it('skips what the resume file notes, and notes what is done', async () => {
    const { url, asked } = await startServer();
    const cwd = tempFolder();
    const cli = fakeCli({ cwd, stdin: list });
    await cli.run('warm', '--url', url, '--resume-file', 'done.txt');
    expect(readFileSync(join(cwd, 'done.txt'), 'utf8').trim().split('\n').sort()).toEqual([
      'github.com/Azure/x@v1.0.0 info+mod+zip',
      'golang.org/x/mod@v0.20.0 info+mod+zip',
    ]);
    asked.length = 0;
    const { stdout } = await cli.run('warm', '--url', url, '--resume-file', 'done.txt');
    expect(asked).toEqual([]);
    expect(stdout).toBe('2 versions: 0 fetched (0 B), 0 already stored, 2 done before\n');
  });

  it('says how to start a server when none answers', async () => {
    const { url, server } = await startServer();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const { code, stderr } = await fakeCli({ stdin: list }).run('warm', '--url', url);
    expect(code).toBe(69);
    expect(stderr).toMatch(
      /no modferry answers at http:\S+ \(.*ECONNREFUSED.*\); start one with `modferry serve`/,
    );
  });

  it('stops at once when the server goes away, and says how to go on', async () => {
    const { url, asked, server } = await startServer([], (request) => {
      if (request.method !== 'GET') return false;
      server.close();
      server.closeAllConnections();
      return true;
    });
    const stdin = Array.from({ length: 500 }, (_, index) => `example.com/m${index}@v1.0.0`).join('\n');
    const { code, stderr } = await fakeCli({ stdin }).run('warm', '--url', url, '--concurrency', '1');
    expect(code).toBe(69);
    expect(stderr).toContain('the server went away; start it again');
    expect(asked.length).toBeLessThan(10);
  });

  it('ends with 130 on Ctrl-C', async () => {
    const cli = fakeCli({ stdin: list });
    const { url } = await startServer([], (request) => {
      if (request.method !== 'GET') return false;
      cli.signal('SIGINT');
      return true;
    });
    const { code, stderr } = await cli.run('warm', '--url', url);
    expect(code).toBe(130);
    expect(stderr).toContain('interrupted; run the same command again');
  });

  it('shows a bar on a terminal and takes it away at the end', async () => {
    const { url } = await startServer();
    const cwd = tempFolder();
    writeFileSync(join(cwd, 'list'), list);
    const { stderr } = await fakeCli({ cwd, isTty: true }).run('warm', 'list', '--url', url);
    expect(stderr).toMatch(/warming \[#+\.+\] 1\/2 versions \(50%\)/);
    expect(stderr.endsWith('\r\u001b[K')).toBe(true);
  });

  it('wants input', async () => {
    const onTerminal = await fakeCli({ isTty: true }).run('warm');
    const missing = await fakeCli().run('warm', 'gone.sum');
    expect([onTerminal.code, missing.code]).toEqual([2, 2]);
    expect(missing.stderr).toContain('cannot read gone.sum');
  });
});
