import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startConnectProxy } from '../../../test/kit/connect-proxy.ts';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import type { ModulePath } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { directRule, fixedProxyRule } from '../../outbound/proxy-rule.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import { type Upstream, UpstreamError } from '../../upstream/types.ts';
import { type GitRef, type RepositoryPlace, VcsError } from '../../vcs/types.ts';
import type { ConnectionWay } from './connection.ts';
import type { TestedDirect } from './direct-steps.ts';
import type { Step } from './step.ts';
import { stepText } from './step-text.ts';
import { type TestDeps, type TestedRoute, type TestTarget, testSteps } from './test-steps.ts';

const path = 'git.corp.example/team/lib' as ModulePath;
const target: TestTarget = { kind: 'module', path, version: undefined };

function way(more: Partial<ConnectionWay> = {}): ConnectionWay {
  const files = new TlsFiles({ caFile: undefined, clientCertificate: undefined, clock: systemClock });
  return {
    proxy: directRule,
    context: () => files.context(true),
    limit: { timeoutMs: 500, clock: systemClock },
    ...more,
  };
}

function upstreamThat(fetch: Upstream['fetch'], isPrivate = false): Upstream {
  return { name: 'ours', isPrivate, stopsOnError: false, fetch, close: () => Promise.resolve() };
}

function directThat(more: Partial<TestedDirect>): TestedDirect {
  const place: RepositoryPlace = { vcs: 'git', url: 'file:///srv/lib.git', root: path, subdir: '' };
  return {
    finder: { find: () => Promise.resolve(place) },
    foundBy: () => 'rule 1',
    credentials: {
      find: () => Promise.resolve(undefined),
      explain: () => ({ name: undefined, remarks: [] }),
    },
    way: way(),
    refs: () => Promise.resolve([{ name: 'refs/heads/main', commit: 'c'.repeat(40) }]),
    versions: () => [],
    ...more,
  };
}

async function run(what: TestTarget, more: Partial<TestDeps> & { route?: TestedRoute }) {
  const steps: Step[] = [];
  const { route = { name: 'private', isPrivate: true, sources: ['direct'] } } = more;
  const isGood = await testSteps(what, {
    now: () => systemClock.monotonic(),
    signal: new AbortController().signal,
    onStep: (step) => steps.push(step),
    routeOf: () => route,
    upstreams: [],
    probePath: '/probe/@v/v1.0.0.mod',
    direct: undefined,
    ...more,
  });
  return { isGood, steps, last: steps.at(-1), names: steps.map(({ name, outcome }) => `${name} ${outcome}`) };
}

describe('testSteps', () => {
  it('fails where a route has no source, an unknown one, or direct is switched off', async () => {
    const nothing = await run(target, { route: { name: 'r', isPrivate: true, sources: [] } });
    expect(nothing).toMatchObject({ isGood: false, names: ['route failed'] });
    const unknown = await run(target, { route: { name: 'r', isPrivate: false, sources: ['who'] } });
    expect(unknown).toMatchObject({ isGood: false, last: { text: 'there is no upstream who' } });
    expect(await run(target, {})).toMatchObject({ isGood: false, last: { remedy: 'set direct.enabled' } });
  });

  it('does not ask a public upstream for a private module, whatever the route says', async () => {
    let asked = 0;
    const upstream = upstreamThat(() => {
      asked += 1;
      return Promise.reject(new Error('asked'));
    });
    const upstreams = [{ upstream, url: 'http://127.0.0.1:1', credentials: undefined, way: way() }];
    const route = { name: 'r', isPrivate: true, sources: ['ours'] };
    const { isGood, last } = await run(target, { upstreams, route });

    expect({ asked, isGood }).toEqual({ asked: 0, isGood: true });
    expect(last).toMatchObject({ outcome: 'note', text: expect.stringContaining('never told') as string });
  });

  it('escapes the module for an upstream, and puts its failure to the right step', async () => {
    const { port, close } = await listenOn(createServer());
    onTestFinished(close);
    const targets: string[] = [];
    const upstream = upstreamThat((request) => {
      targets.push(request.target);
      return Promise.reject(new UpstreamError('ours', 'proxy_auth', 'wants credentials (407)'));
    });
    const upstreams = [{ upstream, url: `http://127.0.0.1:${port}`, credentials: undefined, way: way() }];
    const route = { name: 'r', isPrivate: false, sources: ['ours'] };
    const upper = { kind: 'module', path: 'example.com/Lib' as ModulePath, version: undefined } as const;
    const { names } = await run(upper, { upstreams, route });

    expect(targets).toEqual(['/example.com/!lib/@v/list']);
    expect(names).toEqual(['route ok', 'dns ok', 'tcp ok', 'proxy failed']);
  });

  it.each([
    ['absent', 'repository'],
    ['auth', 'authentication'],
    ['forbidden', 'authorisation'],
    ['dns', 'dns'],
    ['connect', 'tcp'],
    ['tls', 'tls'],
    ['proxy', 'proxy'],
    ['timeout', 'repository'],
  ] as const)('puts %s of git to the step %s', async (code, step) => {
    const direct = directThat({ refs: () => Promise.reject(new VcsError(code, 'so it is')) });
    const { isGood, last } = await run(target, { direct });

    expect(isGood).toBe(false);
    expect(last).toMatchObject({ subject: 'direct', name: step, outcome: 'failed', text: 'so it is' });
  });

  it('tells where the repository is not found, is empty, or is left to others', async () => {
    const find = (place: Partial<RepositoryPlace>) => () =>
      Promise.resolve({ vcs: 'git', url: 'file:///x', root: path, subdir: '', ...place } as RepositoryPlace);
    const lost = { find: () => Promise.reject(new VcsError('absent', 'its page has no go-import tag')) };
    expect((await run(target, { direct: directThat({ finder: lost }) })).names).toEqual([
      'route ok',
      'location failed',
    ]);
    const empty = directThat({ refs: () => Promise.resolve([] as GitRef[]) });
    expect((await run(target, { direct: empty })).last).toMatchObject({
      name: 'repository',
      outcome: 'failed',
    });
    const other = directThat({ finder: { find: find({ vcs: 'hg' }) } });
    expect((await run(target, { direct: other })).names).toEqual([
      'route ok',
      'location ok',
      'repository note',
    ]);
    const odd = directThat({
      versions: () => {
        throw new VcsError('absent', 'cannot contain the module');
      },
    });
    expect((await run(target, { direct: odd })).last).toMatchObject({ name: 'module', outcome: 'failed' });
  });

  it('passes on remarks about credentials that are not used', async () => {
    const remarks = ['token for x is not sent over plain http'];
    const credentials = {
      find: () => Promise.resolve(undefined),
      explain: () => ({ name: undefined, remarks }),
    };
    const { steps } = await run(target, { direct: directThat({ credentials }) });
    expect(steps).toContainEqual(
      expect.objectContaining({ name: 'credentials', outcome: 'note', text: remarks[0] }),
    );
  });

  it('names the outbound proxy that refuses, and one that is not there', async () => {
    const proxy = await startConnectProxy({ fault: { kind: 'status', status: 403 } });
    onTestFinished(proxy.close);
    const through = (address: string) => directThat({ way: way({ proxy: fixedProxyRule(address) }) });
    const host: TestTarget = { kind: 'host', text: 'git.corp.example' };
    const refused = await run(host, { direct: through(proxy.url) });
    expect(refused.names).toEqual(['dns ok', 'tcp ok', 'proxy failed']);
    expect(refused.last?.text).toContain('git.corp.example:443: status 403');
    const gone = await run(host, { direct: through('http://127.0.0.1:1') });
    expect(gone.last).toMatchObject({ name: 'tcp', outcome: 'failed' });
  });

  it('says what answers where no SSH server does, and gives up one that is silent', async () => {
    const http = await listenOn(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const silent = await listenOn(createServer(() => {}));
    onTestFinished(async () => {
      await http.close();
      await silent.close();
    });
    const at = (port: number): TestTarget => ({ kind: 'host', text: `ssh://git@127.0.0.1:${port}` });
    expect((await run(at(http.port), { direct: directThat({}) })).last).toMatchObject({
      name: 'ssh',
      text: 'what answers there is no SSH server',
    });
    expect((await run(at(silent.port), { direct: directThat({}) })).last?.text).toContain('within 0.5 s');
    const tls: TestTarget = { kind: 'host', text: `127.0.0.1:${http.port}` };
    expect((await run(tls, { direct: directThat({}) })).last).toMatchObject({
      name: 'tls',
      outcome: 'failed',
    });
  });

  it('says that a name is none', async () => {
    const { last } = await run({ kind: 'host', text: 'nowhere.invalid' }, { direct: directThat({}) });
    expect(last).toMatchObject({
      name: 'dns',
      outcome: 'failed',
      text: expect.stringContaining('resolved') as string,
    });
  });

  it('ends when it is interrupted', async () => {
    const silent = await listenOn(createServer(() => {}));
    onTestFinished(silent.close);
    const abort = new AbortController();
    const work = run(
      { kind: 'host', text: `127.0.0.1:${silent.port}` },
      {
        direct: directThat({ way: way({ limit: { timeoutMs: 60_000, clock: systemClock } }) }),
        signal: abort.signal,
        onStep: ({ name }) => {
          if (name === 'tcp') setImmediate(() => abort.abort(new Error('interrupted')));
        },
      },
    );
    await expect(work).rejects.toThrow('interrupted');
  });
});

describe('stepText', () => {
  it('is one line a step whatever a server said', () => {
    const text = stepText();
    const step: Step = {
      subject: 'h',
      name: 'tls',
      outcome: 'failed',
      tookMs: 12.4,
      text: 'a\n\u001b[2Jb',
      remedy: 'do',
    };
    expect(text(step)).toBe('h\n  ✗ tls               12 ms  a??[2Jb → do\n');
    expect(text({ ...step, outcome: 'ok', remedy: undefined })).toMatch(/^ {2}✓ tls/);
  });
});
