/**
 * Status by cause: what a client is told when something is absent, broken, slow or going in circles. The go command
 * walks on after 404 and 410 only, so a wrong one of these breaks builds or sends private names to the network.
 */
import { connect, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { delay, gate, stall, status } from '../kit/faults.ts';
import { ask, modferry, upstream } from './support.ts';

const lib = fakeModule({ path: 'example.com/lib', version: 'v1.2.3' });
const names = ['@v/v1.9.9.info', '@v/v1.9.9.mod', '@v/v1.9.9.zip', '@v/nosuch.info'];
const lines = (text: string) => text.trimEnd().split('\n');
const hostOf = (url: string) => new URL(url).host;

describe('absent', () => {
  it('is 404 when every upstream says so, with one line for each, and nobody is asked again for a while', async () => {
    const first = await upstream({ modules: [lib] });
    const second = await upstream({ modules: [lib] });
    const proxy = await modferry({ upstreams: [first, second] });
    for (const path of [
      ...names.map((name) => `/example.com/lib/${name}`),
      '/example.com/none/@v/list',
      '/example.com/none/@latest',
    ]) {
      const answer = await ask(proxy.url, path);
      expect(answer.status, path).toBe(404);
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(answer.headers['cache-control']).toMatch(/^public, max-age=\d+$/);
      for (const source of [first, second]) {
        const said = lines(answer.text).filter((line) => line.startsWith(`${hostOf(source.url)}: `));
        expect(said, answer.text).toEqual([expect.stringMatching(/404.* ms\)$/)]);
      }
    }
    const asked = first.requests.length;
    expect((await ask(proxy.url, '/example.com/lib/@v/v1.9.9.info')).status).toBe(404);
    expect(first.requests).toHaveLength(asked);
  });

  it('is 410 when upstreams say 410', async () => {
    const source = await upstream({ rules: [{ match: /gone/, fault: status(410) }] });
    const proxy = await modferry({ upstreams: [source] });
    for (const name of ['@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/list', '@latest']) {
      expect((await ask(proxy.url, `/example.com/gone/${name}`)).status, name).toBe(410);
    }
  });

  it('is 404 when one upstream says so and the other is dead, for a path that nobody ever saw', async () => {
    const alive = await upstream();
    const dead = await upstream();
    await dead.refuse();
    const proxy = await modferry({ upstreams: [alive, dead] });
    for (const name of [...names, '@v/list', '@latest']) {
      const answer = await ask(proxy.url, `/example.com/never/${name}`);
      expect(answer.status, name).toBe(404);
      expect(answer.headers['cache-control'], 'a partial absence is not for caches').toBe('no-store');
      expect(answer.text).toContain(hostOf(dead.url));
    }
  });

  it('is 502 when one upstream says so and the other, which listed the version, is dead', async () => {
    const empty = await upstream();
    const lister = await upstream({ modules: [lib] });
    const proxy = await modferry({ upstreams: [empty, lister] });
    expect((await ask(proxy.url, '/example.com/lib/@v/list')).text).toBe('v1.2.3\n');
    await lister.refuse();
    for (const ext of ['info', 'mod', 'zip']) {
      const answer = await ask(proxy.url, `/example.com/lib/@v/v1.2.3.${ext}`);
      expect(answer.status, ext).toBe(502);
      expect(lines(answer.text).some((line) => line.startsWith(`${hostOf(lister.url)}: `))).toBe(true);
    }
  });

  it('says that direct is for the client where the list ends in it', async () => {
    const source = await upstream();
    const proxy = await modferry({ upstreams: [`${source.url},direct`] });
    const answer = await ask(proxy.url, '/example.com/lib/@v/v1.2.3.info');
    expect(answer.status).toBe(404);
    expect(answer.text).toContain('direct');
  });
});

describe('failing', () => {
  it('is 502 when every upstream fails, uncached, with a line for each', async () => {
    const broken = await upstream({ rules: [{ match: /./, fault: status(500) }] });
    const dead = await upstream();
    await dead.refuse();
    const proxy = await modferry({ upstreams: [broken, dead] });
    for (const name of [
      '@v/v1.0.0.info',
      '@v/v1.0.0.mod',
      '@v/v1.0.0.zip',
      '@v/main.info',
      '@v/list',
      '@latest',
    ]) {
      const answer = await ask(proxy.url, `/example.com/lib/${name}`);
      expect(answer.status, name).toBe(502);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.text).toMatch(new RegExp(`^${hostOf(broken.url)}: .*500.* ms\\)$`, 'm'));
      expect(answer.text).toMatch(new RegExp(`^${hostOf(dead.url)}: .* ms\\)$`, 'm'));
      expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(650);
    }
  });

  it('is 504 when no upstream answers in time', async () => {
    const silent = await upstream({ rules: [{ match: /./, fault: stall() }] });
    const slow = await upstream({ rules: [{ match: /./, fault: delay(gate()) }] });
    const config = {
      timeouts: { connect: '1s', first_byte: { meta: '100ms', zip: '100ms' }, last_hope: '400ms' },
    };
    const proxy = await modferry({ upstreams: [silent, slow], config });
    const all = ['@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/main.info', '@v/list', '@latest'];
    const answers = await Promise.all(all.map((name) => ask(proxy.url, `/example.com/lib/${name}`)));
    expect(answers.map((answer) => answer.status)).toEqual(all.map(() => 504));
  });

  it('uses the second upstream when the first one is slow, without an error', async () => {
    const slow = await upstream({ modules: [lib], rules: [{ match: /./, fault: delay(gate()) }] });
    const good = await upstream({ modules: [lib] });
    const config = { timeouts: { first_byte: { meta: '100ms', zip: '100ms' } } };
    const proxy = await modferry({ upstreams: [slow, good], config });
    for (const ext of ['info', 'mod', 'zip'] as const) {
      expect(await ask(proxy.url, `/example.com/lib/@v/v1.2.3.${ext}`)).toMatchObject({
        status: 200,
        body: lib[ext],
      });
    }
  });

  it('stops at an error of an upstream with credentials that is followed by a comma, and moves on after a bar', async () => {
    const broken = await upstream({ rules: [{ match: /./, fault: status(500) }] });
    const good = await upstream({ modules: [lib] });
    const withUser = broken.url.replace('//', '//user:secret@');
    const strict = await modferry({ upstreams: [`${withUser},${good.url}`] });
    const lenient = await modferry({ upstreams: [`${withUser}|${good.url}`] });

    const answer = await ask(strict.url, '/example.com/lib/@v/v1.2.3.mod');
    expect(answer.status).toBe(502);
    expect(answer.text).not.toContain('secret');
    expect(good.requests).toHaveLength(0);
    expect(await ask(lenient.url, '/example.com/lib/@v/v1.2.3.mod')).toMatchObject({
      status: 200,
      body: lib.mod,
    });
    expect(broken.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:secret').toString('base64')}`,
    );
    expect(good.requests[0]?.headers.authorization).toBeUndefined();
    expect(strict.stderr() + lenient.stderr() + strict.stdout()).not.toContain('secret');
  });
});

describe('a loop', () => {
  it('is 508 when the request comes back to this very server by another address', async () => {
    // A port forward: modferry cannot know that its own port is behind it.
    let target = 0;
    const forward = createServer((socket) => {
      const onward = connect(target, '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on('error', () => end.destroy());
    });
    await new Promise<void>((resolve) => forward.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void forward.close());
    const address = forward.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const proxy = await modferry({ upstreams: [`http://127.0.0.1:${port}`] });
    target = proxy.port;

    for (const name of [
      '@v/v1.0.0.info',
      '@v/v1.0.0.mod',
      '@v/v1.0.0.zip',
      '@v/list',
      '@latest',
      '@v/main.info',
    ]) {
      const answer = await ask(proxy.url, `/example.com/lib/${name}`);
      expect(answer.status, name).toBe(508);
      expect(answer.text).toMatch(/upstream/);
    }
  });
});

describe('malformed names', () => {
  it('are 400 with one line, before anybody is asked', async () => {
    const source = await upstream({ modules: [lib] });
    const proxy = await modferry({ upstreams: [source] });
    for (const path of [
      '/example.com/lib/@v/v1.2.3.exe',
      '/example.com/lib/@v/.info',
      '/example.com/lib/@v/v1.2.3',
      '/example.com/lib/@v/main.zip',
      '/example.com/lib/@v/v1.2.mod',
      '/example.com/lib/@v/v2.0.0.zip',
      '/example.com/Lib/@v/list',
      '/example.com/li!/@v/list',
      '/example.com/!Lib/@v/list',
      '/example/lib/@v/list',
      '/example.com/li b/@v/list'.replace(' ', '%20'),
      '/example.com/lib./@latest',
      '/-example.com/lib/@latest',
      '/example.com/con/@latest',
      '/example.com/lib/v1/@v/list',
      '/example.com/lib/@v/a%2Fb.info',
      '/example.com/lib/@v/a%252Fb.info',
      '/example.com/lib%00/@v/list',
      '/example.com/../lib/@v/list',
      '/example.com/lib/@v/%ff.info',
      `/example.com/${'a'.repeat(5000)}/@v/list`,
    ]) {
      const answer = await ask(proxy.url, path);
      expect(answer.status, path.slice(0, 80)).toBe(400);
      expect(lines(answer.text), path.slice(0, 80)).toHaveLength(1);
      expect(answer.text).toMatch(/\S{3,}/);
    }
    expect(source.requests).toHaveLength(0);
  });
});
