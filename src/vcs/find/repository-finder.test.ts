import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import { parseModulePath } from '../../gomod/module-path.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { fixedProxyRule } from '../../outbound/proxy-rule.ts';
import { VcsError, type VcsErrorCode } from '../types.ts';
import { createRepositoryFinder, type RepositoryFinderOptions } from './repository-finder.ts';
import type { RepositoryRule } from './repository-rule.ts';
import { never, page, testSite } from './test-site.ts';

function finderOf(options: Partial<RepositoryFinderOptions>) {
  return createRepositoryFinder({
    version: 'test',
    clock: new FakeClock(),
    ...options,
    guard: { resolve: async () => [{ address: '93.184.216.34', family: 4 }], ...options.guard },
  });
}

/** Root and URL, or the code of the refusal. */
async function found(options: Partial<RepositoryFinderOptions>, path: string): Promise<string> {
  try {
    const { root, url, vcs } = await finderOf(options).find(parseModulePath(path), never);
    return `${vcs} ${root} ${url}`;
  } catch (error) {
    return error instanceof VcsError ? error.code : String(error);
  }
}

const host = 'git.corp.example';
/** GitLab with a project three groups deep. */
const gitlab = new Set([`https://${host}/g/sub/deep/proj.git`, `https://${host}/g/one.git`]);

function rule(rest: Partial<RepositoryRule>): RepositoryRule {
  return { patterns: [host], url: `https://${host}/{path}.git`, ...rest };
}

describe('rules for sub-groups', () => {
  it.each(['longest', 'shortest'] as const)('probes by the %s prefix', async (order) => {
    const asked: string[] = [];
    const probe = async (url: string) => {
      asked.push(url.replace(`https://${host}/`, ''));
      return gitlab.has(url);
    };
    const options = { rules: [rule({ root: { kind: 'probe', order } })], probe };
    const proj = `git ${host}/g/sub/deep/proj https://${host}/g/sub/deep/proj.git`;
    expect(await found(options, `${host}/g/sub/deep/proj`)).toBe(proj);
    expect(await found(options, `${host}/g/sub/deep/proj/pkg/v3`)).toBe(proj);
    expect(await found(options, `${host}/g/one/v2`)).toBe(`git ${host}/g/one https://${host}/g/one.git`);
    expect(await found(options, `${host}/g/sub`)).toBe('absent');
    expect(await found(options, host)).toBe('absent');
    expect(asked[0]).toBe(order === 'longest' ? 'g/sub/deep/proj.git' : 'g.git');
  });

  it('remembers what it probed', async () => {
    const asked: string[] = [];
    const probe = async (url: string) => {
      asked.push(url);
      return gitlab.has(url);
    };
    const clock = new FakeClock();
    const finder = finderOf({ rules: [rule({})], probe, clock });
    const path = parseModulePath(`${host}/g/sub/deep/proj/pkg`);
    await finder.find(path, never);
    await finder.find(path, never);
    expect(asked.length).toBe(2);
    await clock.advance(30_001);
    await finder.find(path, never);
    expect(asked.length).toBe(3);
  });

  it('goes on where a prefix may not be seen, and tells it when nothing is found', async () => {
    const probe = async (url: string) => {
      if (gitlab.has(url)) return true;
      throw new VcsError('auth', 'who are you');
    };
    const options = { rules: [rule({})], probe };
    expect(await found(options, `${host}/g/one/pkg`)).toBe(`git ${host}/g/one https://${host}/g/one.git`);
    expect(await found(options, `${host}/g/none/pkg`)).toBe('auth');
    const down = async () => {
      throw new VcsError('connect', 'down');
    };
    expect(await found({ rules: [rule({})], probe: down }, `${host}/g/one/pkg`)).toBe('connect');
  });

  it('takes a depth, an explicit root, and a .git in the path', async () => {
    const depth = { rules: [rule({ root: { kind: 'depth', elements: 4 } })] };
    expect(await found(depth, `${host}/g/sub/proj/a/v2`)).toBe(
      `git ${host}/g/sub/proj https://${host}/g/sub/proj.git`,
    );
    const mono = rule({
      root: { kind: 'explicit', path: `${host}/mono` },
      url: `ssh://git@${host}:2222/all/mono.git`,
    });
    const both = { rules: [mono, ...depth.rules] };
    expect(await found(both, `${host}/mono/x/y`)).toBe(
      `git ${host}/mono ssh://git@${host}:2222/all/mono.git`,
    );
    expect(await found(both, `${host}/monolith/x/y`)).toContain(`${host}/monolith/x/y `);
    expect(await found(both, `${host}/g/a/b/proj.git/sub`)).toBe(
      `git ${host}/g/a/b/proj.git https://${host}/g/a/b/proj.git`,
    );
  });

  it('knows that nothing is above the depth of a rule, and asks nobody', async () => {
    const asked: string[] = [];
    const guard = {
      resolve: async (name: string) => {
        asked.push(name);
        return [];
      },
    };
    const rules = [rule({ root: { kind: 'depth', elements: 3 } })];
    expect(await found({ rules, guard }, `${host}/team`)).toBe('absent');
    expect(await found({ rules, guard }, host)).toBe('absent');
    expect(asked).toEqual([]);
    const other = rule({ url: `https://${host}/{path}`, root: { kind: 'depth', elements: 2 } });
    expect(await found({ rules: [...rules, other], guard }, `${host}/team`)).toBe(
      `git ${host}/team https://${host}/team`,
    );
  });

  it('fills the template', async () => {
    const root = { kind: 'depth', elements: 3 } as const;
    const rules = [
      { patterns: ['*.corp.test'], url: 'https://git-{host}/mirror/{name}?'.replace('?', ''), root },
      { patterns: ['gitee.example'], url: 'ssh://git@gitee.example/{path}.git', root },
    ];
    expect(await found({ rules }, 'a.corp.test/team/lib/x')).toBe(
      'git a.corp.test/team/lib https://git-a.corp.test/mirror/lib',
    );
    expect(await found({ rules }, 'gitee.example/team/lib')).toBe(
      'git gitee.example/team/lib ssh://git@gitee.example/team/lib.git',
    );
  });

  it('trusts the hosts of its rules with private addresses, not with this machine', async () => {
    const rules = [
      {
        patterns: ['*.corp.test'],
        url: 'http://{host}/{path}',
        root: { kind: 'depth', elements: 2 } as const,
      },
    ];
    const at = (address: string) => ({ rules, guard: { resolve: async () => [{ address, family: 4 }] } });
    expect(await found(at('10.1.1.1'), 'a.corp.test/x')).toBe('git a.corp.test/x http://a.corp.test/x');
    expect(await found(at('127.0.0.1'), 'a.corp.test/x')).toBe('refused');
    expect(await found(at('169.254.169.254'), 'a.corp.test/x')).toBe('refused');
    // A host that stands in the rule itself is named explicitly.
    const own = [rule({ url: 'http://127.0.0.1/{path}', root: { kind: 'depth', elements: 2 } })];
    expect(await found({ rules: own }, `${host}/x`)).toBe(`git ${host}/x http://127.0.0.1/x`);
  });

  it.each([
    { url: 'git@git.corp.example:{path}' },
    { url: 'https://user:pw@git.corp.example/{path}' },
    { url: 'https://token@git.corp.example/{path}' },
    { url: 'ext::sh -c {path}' },
    { url: 'git://git.corp.example/{path}' },
    { url: 'https://git.corp.example/{project}' },
    { url: 'https://git.corp.example/{path' },
    { url: 'ssh://-oX/{path}' },
    { url: 'https://git.corp.example/{path}?x=1' },
    { patterns: [] },
    { patterns: ['https://git.corp.example'] },
    { root: { kind: 'depth', elements: 0 } as const },
    { root: { kind: 'explicit', path: '/x' } as const },
    { subdir: '../x' },
  ])('is refused: %j', (broken) => {
    const probe = async () => true;
    let message = '';
    try {
      finderOf({ rules: [rule(broken)], probe });
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/The repository rule .*\./);
    expect(message).not.toContain('pw@');
  });

  it('cannot probe without a probe', () => {
    expect(() => finderOf({ rules: [rule({})] })).toThrow(/give a depth/);
  });
});

describe('paths that name their repository', () => {
  it.each([
    ['github.com/Azure/go/sdk/v2', 'git github.com/Azure/go https://github.com/Azure/go'],
    ['bitbucket.org/a/b', 'git bitbucket.org/a/b https://bitbucket.org/a/b'],
    ['git.apache.org/thrift.git/lib', 'git git.apache.org/thrift.git https://git.apache.org/thrift.git'],
    ['hub.jazz.net/git/user/x/y', 'git hub.jazz.net/git/user/x https://hub.jazz.net/git/user/x'],
    [
      'chiselapp.com/user/a/repository/b',
      'fossil chiselapp.com/user/a/repository/b https://chiselapp.com/user/a/repository/b',
    ],
    ['github.com/only', 'absent'],
    ['github.com/a/b.git', 'absent'],
    ['x.example/a/b.git/sub', 'git x.example/a/b.git https://x.example/a/b'],
    ['x.example/a/b.hg', 'hg x.example/a/b.hg https://x.example/a/b'],
  ])('%s', async (path, expected) => {
    expect(await found({}, path)).toBe(expected);
  });

  it('asks which address with .git is there', async () => {
    const at = (there: string) => ({ probe: async (url: string) => url === there });
    const path = 'x.example/a/b.git';
    expect(await found(at('https://x.example/a/b.git'), path)).toContain('https://x.example/a/b.git');
    expect(await found(at('ssh://git@x.example/a/b.git'), path)).toContain('ssh://git@x.example/a/b.git');
    expect(await found(at('http://x.example/a/b'), path)).toBe('absent');
    const insecure = { ...at('http://x.example/a/b'), insecurePatterns: ['x.example'] };
    expect(await found(insecure, path)).toContain('http://x.example/a/b');
  });

  it('says that it could not ask, not that nothing is there', async () => {
    const failing = (where: string, code: VcsErrorCode) => ({
      probe: async (url: string) => {
        if (url === where) throw new VcsError(code, 'x.example answered 503');
        return false;
      },
    });
    const path = 'x.example/a/b.git';
    expect(await found(failing('https://x.example/a/b.git', 'failed'), path)).toBe('failed');
    expect(await found(failing('https://x.example/a/b', 'timeout'), path)).toBe('timeout');
    expect(await found(failing('https://x.example/a/b', 'auth'), path)).toBe('auth');
    expect(await found(failing('ssh://git@x.example/a/b.git', 'timeout'), path)).toBe('timeout');
    // No ssh there, or none for us: what it said by https holds.
    for (const code of ['auth', 'refused', 'connect'] as const) {
      expect(await found(failing('ssh://git@x.example/a/b.git', code), path)).toBe('absent');
    }
  });

  it('judges the very address that it gives, and lets git follow no redirect there', async () => {
    const looked: string[] = [];
    const guard = {
      resolve: async (name: string) => {
        looked.push(name);
        return [{ address: `93.184.216.${looked.length}`, family: 4 }];
      },
    };
    for (const there of ['https://x.example/a/b.git', 'ssh://git@x.example/a/b.git']) {
      looked.length = 0;
      const finder = finderOf({ guard, probe: async (url) => url === there });
      const { url } = await finder.find(parseModulePath('x.example/a/b.git'), never);
      expect(finder.addressFor(url)).toBe(`93.184.216.${looked.length}`);
      expect(finder.followsRedirects(url)).toBe(false);
    }
    const trap = finderOf({
      guard: {
        resolve: async () => [{ address: looked.push('') > 3 ? '10.0.0.5' : '93.184.216.34', family: 4 }],
      },
      probe: async (url) => url.endsWith('.git'),
    });
    looked.length = 2;
    await expect(trap.find(parseModulePath('x.example/a/b.git'), never)).rejects.toMatchObject({
      code: 'refused',
    });
    const ruled = finderOf({ rules: [rule({ root: { kind: 'depth', elements: 3 } })] });
    expect(ruled.followsRedirects(`https://${host}/a/b`)).toBe(true);
    expect(ruled.followsRedirects('https://github.com/a/b')).toBe(true);
    expect(ruled.followsRedirects(`https://${host}:8443/a/b`)).toBe(false);
  });

  it('guards a host that the path itself chooses', async () => {
    const guard = { resolve: async () => [{ address: '10.0.0.5', family: 4 }] };
    expect(await found({ guard }, 'x.example/a/b.git')).toBe('refused');
    expect(await found({ guard: { ...guard, trustedHosts: () => true } }, 'x.example/a/b.git')).toContain(
      'git ',
    );
    expect(await found({ guard }, '169.254.169.254/a/b.git')).toBe('refused');
    expect(await found({ guard }, '2130706433.example/a/b.git')).toBe('refused');
  });
});

describe('addresses', () => {
  it('are judged each time a place is found, and kept for git', async () => {
    const answers = ['93.184.216.34', '93.184.216.35', '10.0.0.5'];
    const guard = { resolve: async () => [{ address: answers.shift() ?? '', family: 4 }] };
    const finder = finderOf({ guard });
    const path = parseModulePath('x.example/a/b.git');
    const { url } = await finder.find(path, never);
    expect(finder.addressFor(url)).toBe('93.184.216.34');
    await finder.find(path, never);
    expect(finder.addressFor(url)).toBe('93.184.216.35');
    await expect(finder.find(path, never)).rejects.toMatchObject({ code: 'refused' });
    expect(finder.addressFor('https://github.com/a/b')).toBeUndefined();
  });

  it('are left to an outbound proxy, but for literal ones', async () => {
    const resolve = () => Promise.reject(new Error('asked'));
    const options = { proxy: fixedProxyRule('http://proxy.example:3128'), guard: { resolve } };
    const finder = finderOf(options);
    const { url } = await finder.find(parseModulePath('x.example/a/b.git'), never);
    expect(finder.addressFor(url)).toBeUndefined();
    expect(await found(options, '10.0.0.1/a/b.git')).toBe('refused');
  });
});

describe('redirects of repositories', () => {
  const path = parseModulePath('mod.example.test/lib');
  const asked = 'git.example.test/old/info/refs';

  it('are followed here, and remembered', async () => {
    let port = 0;
    const answers: Parameters<typeof testSite>[0] = {
      [path]: (_, response) => response.end(page(`${path} git https://git.example.test:${port}/old`)),
      [asked]: (request, response) => {
        const location = (request.url ?? '').replace('/old', '/new.git');
        response.writeHead(301, { location }).end();
      },
      'git.example.test/new.git/info/refs': (_, response) => response.writeHead(401).end(),
    };
    const site = await testSite(answers, { authorizationFor: async () => 'Basic eDp5' });
    port = site.port;
    const url = `https://git.example.test:${port}/new.git`;
    expect(await site.finder.find(path, never)).toMatchObject({ url });
    expect(await site.finder.find(path, never)).toMatchObject({ url });
    expect(site.finder.addressFor(url)).toBe('127.0.0.1');
    expect(site.asked).toEqual([path, asked, 'git.example.test/new.git/info/refs']);
    // Credentials of pages are for pages.
    expect(site.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Basic eDp5',
      undefined,
      undefined,
    ]);
  });

  it.each(['https://127.0.0.2/x', 'https://169.254.169.254/x', 'http://git.example.test/x', 'file:///etc'])(
    'to %s are refused',
    async (location) => {
      let port = 0;
      const site = await testSite({
        [path]: (_, response) => response.end(page(`${path} git https://git.example.test:${port}/old`)),
        [asked]: (_, response) => response.writeHead(302, { location }).end(),
      });
      port = site.port;
      await expect(site.finder.find(path, never)).rejects.toMatchObject({ code: 'refused' });
    },
  );
});

describe('modules marked insecure', () => {
  it('are asked for by plain http where https gives no answer', async () => {
    const path = parseModulePath('mod.example.test/lib');
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(page(`${path} git http://git.example.test/x`));
    });
    const { port, close } = await listenOn(server);
    onTestFinished(close);
    const options = {
      sitePorts: { https: 1, http: port },
      guard: { allowAddresses: ['127.0.0.1'], resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
    };
    expect(await found({ ...options, insecurePatterns: ['mod.example.test'] }, path)).toBe(
      `git ${path} http://git.example.test/x`,
    );
    expect(asked.filter((one) => one.includes('go-get'))).toEqual(['/lib?go-get=1']);
    asked.length = 0;
    expect(await found(options, path)).toBe('connect');
    expect(asked).toEqual([]);
  });
});
