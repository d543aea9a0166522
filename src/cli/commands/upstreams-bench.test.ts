import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import { stall, status } from '../../../test/kit/faults.ts';
import { fakeCli, tempFolder } from '../test-kit.ts';

const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3' });
const module = ['--module', 'example.com/lib@v1.2.3'];

async function upstream(options: FakeUpstreamOptions = {}) {
  const server = await startFakeUpstream({ modules: [lib], ...options });
  onTestFinished(server.close);
  return server;
}

const bench = (cli: ReturnType<typeof fakeCli>, ...args: readonly string[]) =>
  cli.run('upstreams', 'bench', ...args);

describe('modferry upstreams bench', () => {
  it('ranks the mirrors it is given, alone or as a GOPROXY list, and recommends a line', async () => {
    const quick = await upstream();
    const slow = await upstream({ latencyMs: 50 });
    const { code, stdout, stderr } = await bench(
      fakeCli(),
      ...module,
      `${slow.url}|${quick.url},direct`,
      quick.url,
    );

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^1\\. +${new URL(quick.url).host} +★★★★★ +12/12 `, 'm'));
    expect(stdout).toMatch(new RegExp(`^2\\. +${new URL(slow.url).host} `, 'm'));
    expect(stdout).toContain(`go env -w 'GOPROXY=${quick.url}|${slow.url},direct'`);
    expect(quick.count('.zip')).toBe(3);
  });

  it('measures what serve would use when nothing is given: the configuration, else GOPROXY', async () => {
    const first = await upstream();
    const second = await upstream();
    const cwd = tempFolder();
    const env = { GOPROXY: second.url };
    await bench(fakeCli({ cwd, env }), ...module);
    expect([first.requests.length, second.requests.length]).toEqual([0, 12]);

    writeFileSync(
      join(cwd, 'modferry.yaml'),
      `upstreams:\n  - url: ${first.url}\n    name: ours\n    token: s3cret-token\n`,
    );
    const { stdout } = await bench(fakeCli({ cwd, env }), ...module, '--rounds', '1');
    expect([first.requests.length, second.requests.length]).toEqual([4, 12]);
    expect(stdout).toContain('ours');
    expect(stdout).not.toContain('s3cret');
    expect(first.requests.map(({ headers }) => headers.authorization)).toEqual(
      Array.from({ length: 4 }, () => 'Bearer s3cret-token'),
    );

    // Named on the command line it keeps the settings of the configuration.
    first.reset();
    await bench(fakeCli({ cwd, env }), ...module, '--rounds', '1', first.url);
    expect(first.requests[0]?.headers.authorization).toBe('Bearer s3cret-token');
  });

  it('uses credentials of a URL and shows them nowhere', async () => {
    const server = await upstream();
    const withLogin = server.url.replace('http://', 'http://user:hunter2@');
    const table = await bench(fakeCli(), ...module, withLogin);
    const json = await bench(fakeCli(), '--json', ...module, withLogin);

    expect(server.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:hunter2').toString('base64')}`,
    );
    expect(`${table.stdout}${table.stderr}${json.stdout}${json.stderr}`).not.toContain('hunter2');
  });

  it('prints one JSON document', async () => {
    const server = await upstream();
    const { code, stdout } = await bench(fakeCli(), '--json', '--rounds', '2', ...module, server.url);
    const document = JSON.parse(stdout) as { samples: Record<string, unknown>[] };

    expect(code).toBe(0);
    expect(document).toMatchObject({
      complete: true,
      mirrors: [{ rank: 1, url: server.url, stars: 5, all: { asked: 8, ok: 8 }, byKind: { zip: { ok: 2 } } }],
      recommended: { goproxy: `${server.url},direct`, yaml: `upstreams:\n  - url: "${server.url}"\n` },
    });
    expect(document.samples).toHaveLength(8);
    expect(document.samples[0]).toMatchObject({ kind: 'list', round: 1, reused: false, status: 200 });
    expect(typeof document.samples[0]?.['firstByteMs']).toBe('number');
  });

  it('exits with 1 when no mirror is usable, and says why', async () => {
    const server = await upstream({ rules: [{ match: /./, fault: status(503) }] });
    const { code, stdout, stderr } = await bench(fakeCli(), ...module, server.url);

    expect(code).toBe(1);
    expect(stdout).toContain('status 503 ×12');
    expect(stdout).not.toContain('GOPROXY');
    expect(stderr).toBe('modferry: none of these mirrors is usable; the errors above say why\n');
  });

  it('shows progress on a terminal, and nothing of it in a short run elsewhere', async () => {
    const server = await upstream();
    const { stderr } = await bench(fakeCli({ isTty: true }), ...module, server.url);

    expect(stderr).toContain('measuring [##......................] 1/12 requests (8%), 127.0.0.1');
    expect(stderr.endsWith('\r\u001b[K')).toBe(true);
  });

  it('ends by Ctrl-C with what it knows, and 130', async () => {
    const server = await upstream({ rules: [{ match: '.zip', fault: stall() }] });
    const cli = fakeCli();
    const running = bench(cli, ...module, server.url);
    await server.waitForRequest('.zip');
    cli.signal('SIGINT');
    const { code, stdout, stderr } = await running;

    expect(code).toBe(130);
    expect(stdout).toMatch(/★★★★★ +3\/3/);
    expect(stderr).toBe('modferry: interrupted; the figures are of 3 of 12 requests\n');
  });

  it('never tells a private module to a mirror that is not declared private', async () => {
    const server = await upstream();
    const cli = fakeCli({ env: { GOPRIVATE: 'example.com' } });
    const alone = await bench(cli, ...module, server.url);
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining('private') as string });
    expect(server.requests).toHaveLength(0);
  });

  it.each<[string, readonly string[], string]>([
    ['a URL that is none', ['htp://x.example'], 'use https or http'],
    ['a word', ['goproxy'], 'neither a URL nor "direct"'],
    ['a list without servers', ['direct'], 'names no server'],
    ['no round', ['--rounds', '0', 'https://a.example'], '1 to 1000'],
    ['too many rounds', ['--rounds', '1001', 'https://a.example'], '1 to 1000'],
    ['no time', ['--timeout', '0s', 'https://a.example'], '100ms to 10m'],
    [
      'a module without version',
      ['--module', 'example.com/lib', 'https://a.example'],
      'example.com/lib@latest',
    ],
    ['a branch', ['--module', 'example.com/lib@main', 'https://a.example'], 'not a canonical version'],
    ['no module path', ['--module', 'a b@latest', 'https://a.example'], 'go.mod'],
  ])('refuses %s with 2', async (_what, args, text) => {
    const { code, stderr } = await bench(fakeCli(), ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(text) as string });
  });

  it('refuses more requests than it can keep, before the first one', async () => {
    const server = await upstream();
    const modules = Array.from({ length: 30 }, (_, index) => [
      '--module',
      `example.com/m${index}@v1.0.0`,
    ]).flat();
    const { code, stderr } = await bench(fakeCli(), '--rounds', '1000', ...modules, server.url);
    expect({ code, asked: server.requests.length }).toEqual({ code: 2, asked: 0 });
    expect(stderr).toContain('fewer rounds');
  });

  it('has nothing to measure when GOPROXY names no server', async () => {
    const { code, stderr } = await bench(fakeCli({ env: { GOPROXY: 'direct' } }));
    expect(code).toBe(2);
    expect(stderr).toContain('there is no mirror to measure');
  });
});
