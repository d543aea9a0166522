import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { never, page, testSite } from './test-site.ts';

const path = parseModulePath('mod.example.test/team/lib');
const repo = 'https://git.example.test/lib.git';
const publicHost = { resolve: async () => [{ address: '127.0.0.1', family: 4 }] };

async function failure(found: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await found;
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      return { code: String(error.code), message: error.message };
    throw error;
  }
  throw new Error('it was found');
}

describe('go-import discovery', () => {
  it('finds the repository, and remembers it for 10 min', async () => {
    const site = await testSite({ [path]: page(`${path} git ${repo}`) });
    const place = { vcs: 'git', url: repo, root: path, subdir: '' };
    expect(await site.finder.find(path, never)).toEqual(place);
    await site.clock.advance(599_000);
    expect(await site.finder.find(path, never)).toEqual(place);
    expect(site.asked).toEqual([path]);
    await site.clock.advance(2_000);
    await site.finder.find(path, never);
    expect(site.asked).toEqual([path, path]);
    expect(site.requests[0]?.url).toBe('/team/lib?go-get=1');
    expect(site.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('shares one request among those who ask at once', async () => {
    const site = await testSite({ [path]: page(`${path} git ${repo}`) });
    await Promise.all(Array.from({ length: 5 }, () => site.finder.find(path, never)));
    expect(site.asked).toEqual([path]);
  });

  it('asks the page of a shorter prefix too, and both must agree', async () => {
    const root = 'mod.example.test/team';
    const tag = `${root} git ${repo}`;
    const site = await testSite({ [path]: page(tag), [root]: page(tag) });
    expect(await site.finder.find(path, never)).toMatchObject({ root, url: repo });
    expect(site.asked).toEqual([path, root]);
    const evil = await testSite({
      [path]: page(`${root} git https://evil.example.test/x`),
      [root]: page(tag),
    });
    const { code, message } = await failure(evil.finder.find(path, never));
    expect([code, message]).toEqual(['refused', expect.stringContaining('disagree about the repository')]);
    const silent = await testSite({ [path]: page(tag) });
    expect(await failure(silent.finder.find(path, never))).toMatchObject({ code: 'refused' });
  });

  it('takes the sub-directory and other version control systems', async () => {
    const site = await testSite({ [path]: page(`${path} hg ${repo} go/lib`) });
    expect(await site.finder.find(path, never)).toMatchObject({ vcs: 'hg', subdir: 'go/lib' });
  });

  it.each([
    ['file:///etc', 'file'],
    ['ext::sh -c id', 'tag'],
    ['ext::sh', 'URL'],
    ['fd::17', 'URL'],
    ['git://git.example.test/x', 'git'],
    ['svn://git.example.test/x', 'svn'],
    ['git@git.example.test:x/y.git', 'URL'],
    ['-oProxyCommand=id', 'URL'],
    ['--upload-pack=id', 'URL'],
    ['ssh://-oProxyCommand=id/x', 'host name'],
    ['ssh://%2DoProxyCommand=id/x', 'host name'],
    ['ssh://-l@git.example.test/x', 'user name'],
    ['ssh://git.example.test/-x', 'option'],
    ['https://user:pw@git.example.test/x', 'credentials'],
    ['https://git.example.test/x?y=1', 'query'],
    ['https://git.example.test/%0Ax', 'control'],
    ['http://git.example.test/x', 'http'],
    ['https://git.example.test:6379/x', 'port 6379'],
    ['https://localhost/x', 'this machine'],
    ['https://10.0.0.7/x', 'private network'],
    ['https://2852039166/x', 'metadata'],
    ['ssh://git@0xa9fea9fe/x', 'metadata'],
    ['https://[::ffff:10.1.2.3]/x', 'private network'],
    ['https://metadata.google.internal/x', 'metadata'],
    ['https://inner.example.test/x', 'private network'],
  ])('refuses the repository %s', async (url, why) => {
    const guard = {
      resolve: async (host: string) => [
        { address: host === 'inner.example.test' ? '192.168.7.7' : '127.0.0.1', family: 4 },
      ],
    };
    const site = await testSite({ [path]: page(`${path} git ${url}`) }, { guard });
    const { code, message } = await failure(site.finder.find(path, never));
    // A tag with spaces in its URL is none, as in Go.
    expect([code, message]).toEqual([
      expect.stringMatching(/^(refused|absent)$/),
      expect.stringContaining(why),
    ]);
    expect(message).not.toContain('192.168.7.7');
    expect(message).not.toContain('pw@');
  });

  it.each([
    [`${path} git ${repo} ../up`],
    [`${path} git ${repo} /etc`],
    [`${path} git ${repo} -x`],
    [`${path} git ${repo} a//b`],
    [`${path} cvs ${repo}`],
  ])('refuses %s', async (content) => {
    const site = await testSite({ [path]: page(content) });
    expect(await failure(site.finder.find(path, never))).toMatchObject({ code: 'refused' });
  });

  it('refuses a module proxy with what to do, and several tags for one path', async () => {
    const mod = await testSite({ [path]: page(`${path} git ${repo}`, `${path} mod https://p.example.test`) });
    const { code, message } = await failure(mod.finder.find(path, never));
    expect([code, message]).toEqual([
      'refused',
      expect.stringContaining('declare that address as an upstream'),
    ]);
    const two = await testSite({ [path]: page(`${path} git ${repo}`, `${path} git ${repo}2`) });
    expect(await failure(two.finder.find(path, never))).toMatchObject({ code: 'refused' });
  });

  it('tells knowledge from failure, and never quotes the page', async () => {
    const answers = {
      [path]: 'no-tag',
      'mod.example.test/other': page(`mod.example.test/elsewhere git ${repo}`),
    };
    const site = await testSite({ ...answers, [path]: '<head></head>SECRET-BODY' });
    const plain = (name: string) => failure(site.finder.find(parseModulePath(name), never));
    expect(await plain(path)).toMatchObject({ code: 'absent' });
    expect(await plain('mod.example.test/other')).toMatchObject({ code: 'absent' });
    expect(await plain('mod.example.test/missing')).toMatchObject({ code: 'absent' });
    for (const status of [401, 403, 500, 503]) {
      const ill = await testSite({
        [path]: (_, response) => response.writeHead(status).end('SECRET-BODY'),
      });
      const { code, message } = await failure(ill.finder.find(path, never));
      expect(code).toBe({ 401: 'auth', 403: 'forbidden' }[status] ?? 'failed');
      expect(message).not.toContain('SECRET');
    }
    const login = await testSite({
      [path]: (_, response) => response.writeHead(302, { location: '/users/sign_in' }).end(),
      'mod.example.test/users/sign_in': '<head></head>',
    });
    expect(await failure(login.finder.find(path, never))).toMatchObject({ code: 'auth' });
  });

  it('asks again 30 s after a failure', async () => {
    let isUp = false;
    const site = await testSite({
      [path]: (_, response) => {
        response.writeHead(isUp ? 200 : 500).end(isUp ? page(`${path} git ${repo}`) : '');
      },
    });
    await failure(site.finder.find(path, never));
    isUp = true;
    await failure(site.finder.find(path, never));
    expect(site.asked.length).toBe(1);
    await site.clock.advance(30_001);
    expect(await site.finder.find(path, never)).toMatchObject({ url: repo });
  });

  it.each([
    ['https://127.0.0.2/x', 'refused'],
    ['https://169.254.169.254/latest/meta-data', 'refused'],
    ['https://localhost/x', 'refused'],
    ['https://0x7f000002/x', 'refused'],
    ['http://mod.example.test/x', 'refused'],
    ['file:///etc/passwd', 'refused'],
    ['https://mod.example.test:6379/x', 'refused'],
    ['https://inner.example.test:PORT/x', 'refused'],
    ['', 'refused'],
  ])('does not follow a redirect to %s', async (location, code) => {
    const guard = {
      resolve: async (host: string) => [
        { address: host === 'inner.example.test' ? '127.0.0.2' : '127.0.0.1', family: 4 },
      ],
    };
    let port = 0;
    const site = await testSite(
      {
        [path]: (_, response) =>
          response.writeHead(302, { location: location.replace('PORT', String(port)) }).end(),
      },
      { guard },
    );
    port = site.port;
    expect(await failure(site.finder.find(path, never))).toMatchObject({ code });
    expect(site.asked).toEqual([path]);
  });

  it('follows five redirects, not six, and sends credentials to the own server only', async () => {
    const hop: Parameters<typeof testSite>[0] = {};
    let port = 0;
    const to = (location: () => string) => {
      return ((_, response) => response.writeHead(302, { location: location() }).end()) as NonNullable<
        Exclude<(typeof hop)[string], string>
      >;
    };
    const pages = {
      'mod.example.test/a/b': to(() => `https://other.example.test:${port}/r4`),
      'mod.example.test/a/c': to(() => `https://other.example.test:${port}/r5`),
      'other.example.test/r5': to(() => '/r4'),
      'other.example.test/r4': to(() => '/r3'),
      'other.example.test/r3': to(() => '/r2'),
      'other.example.test/r2': to(() => '/r1'),
      'other.example.test/r1': to(() => '/r0'),
      'other.example.test/r0': page(`mod.example.test/a/b git ${repo}`, `mod.example.test/a/c git ${repo}`),
    };
    const site = await testSite(pages, { authorizationFor: async () => 'Basic c2VjcmV0' });
    port = site.port;
    expect(await site.finder.find(parseModulePath('mod.example.test/a/b'), never)).toMatchObject({
      url: repo,
    });
    const seen = site.requests.map(({ headers }) => headers.authorization);
    expect(seen).toEqual(['Basic c2VjcmV0', undefined, undefined, undefined, undefined, undefined]);
    expect(await failure(site.finder.find(parseModulePath('mod.example.test/a/c'), never))).toMatchObject({
      code: 'refused',
    });
  });

  it('connects to what was checked, whatever the name means later', async () => {
    const calls: string[] = [];
    const guard = {
      allowAddresses: ['127.0.0.1'],
      resolve: async (host: string) => {
        calls.push(host);
        // The second answer, the one a second look-up would connect to, is another machine of this network.
        return [{ address: calls.length === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
      },
    };
    const site = await testSite({ [path]: page(`${path} git ${repo}`) }, { guard });
    // One look-up serves the page; the next one, for the repository, is refused.
    expect(await failure(site.finder.find(path, never))).toMatchObject({ code: 'refused' });
    expect(calls).toEqual(['mod.example.test', 'git.example.test']);
    expect(site.asked).toEqual([path]);
  });

  it('reads no more than 1 MiB of a page, and nothing behind its head', async () => {
    const filler = Buffer.alloc(64 * 1024, ' ');
    let sentBytes = 0;
    const endless: Parameters<typeof testSite>[0] = {
      [path]: (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(filler)) sentBytes += filler.length;
          response.once('drain', more);
        };
        response.write('<html><head>');
        more();
      },
      'mod.example.test/behind': (_, response) => {
        response.write(page(`mod.example.test/behind git ${repo}`));
        const more = (): void => {
          while (!response.destroyed && response.write(filler)) sentBytes += filler.length;
          response.once('drain', more);
        };
        more();
      },
      'mod.example.test/large': `<head>${' '.repeat(20 * 1024 * 1024)}${page('x')}`,
    };
    const site = await testSite(endless);
    expect(await failure(site.finder.find(path, never))).toMatchObject({ code: 'too_large' });
    expect(await failure(site.finder.find(parseModulePath('mod.example.test/large'), never))).toMatchObject({
      code: 'too_large',
    });
    expect(await site.finder.find(parseModulePath('mod.example.test/behind'), never)).toMatchObject({
      url: repo,
    });
    // What was under way in sockets' buffers, not the 20 MiB and more that were on offer.
    expect(sentBytes).toBeLessThan(16 * 1024 * 1024);
  });

  it('gives up a silent page after 10 s, and when nobody waits any more', async () => {
    let arrived = Promise.withResolvers<void>();
    const site = await testSite({
      [path]: (_, response) => {
        response.write('<head>');
        arrived.resolve();
      },
    });
    const late = failure(site.finder.find(path, never));
    await arrived.promise;
    await site.clock.advance(10_001);
    expect(await late).toMatchObject({ code: 'timeout' });
    await site.clock.advance(30_001);
    arrived = Promise.withResolvers<void>();
    const leaving = new AbortController();
    const left = failure(site.finder.find(path, leaving.signal));
    await arrived.promise;
    const gone = new Promise((resolve) => site.requests[1]?.once('close', resolve));
    leaving.abort(Object.assign(new Error('left'), { code: 'LEFT' }));
    expect(await left).toMatchObject({ code: 'LEFT' });
    await gone;
  });

  it('tells DNS, connection and certificate faults apart', async () => {
    const missing = Object.assign(new Error('x'), { code: 'ENOTFOUND' });
    const dns = await testSite({}, { guard: { resolve: () => Promise.reject(missing) } });
    expect(await failure(dns.finder.find(path, never))).toMatchObject({ code: 'dns' });
    const tls = await testSite({}, { caFile: undefined, guard: publicHost });
    expect(await failure(tls.finder.find(path, never))).toMatchObject({ code: 'tls' });
    const refused = await testSite({}, { sitePorts: { https: 1, http: 1 } });
    expect(await failure(refused.finder.find(path, never))).toMatchObject({ code: 'connect' });
  });
});
