/**
 * modferries behind each other: edge ← region ← root ← a mirror. Who is asked when one of them dies, hangs or stops,
 * what they tell one another, and that one request keeps its id on the whole way.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, eventually, freePort, upstream } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { gate, hold, stall, status } from '../kit/faults.ts';
import { cascade, fakeParent, fetchFrom, figuresOf, fresh, linesOf, node } from './cascade-nodes.ts';

describe('one request', () => {
  it('has the same bytes and the same id on every level', async () => {
    const module = fakeModule({ path: 'example.com/lib', version: 'v1.2.3', paddingBytes: 100_000 });
    const source = await upstream({ modules: [module] });
    const root = await node({ upstreams: [source.url] });
    const region = await node({ upstreams: [{ url: root.url, name: 'root' }] });
    const edge = await node({ upstreams: [{ url: region.url, name: 'region' }] });

    const files = ['@v/v1.2.3.info', '@v/v1.2.3.mod', '@v/v1.2.3.zip', '@v/list', '@latest'];
    for (const [index, file] of files.entries()) {
      const id = `build-${index}`;
      const answer = await ask(edge.url, `/example.com/lib/${file}`, { headers: { 'x-request-id': id } });
      expect(answer.status, file).toBe(200);
      if (file.endsWith('.zip')) expect(answer.body.equals(module.zip)).toBe(true);
      for (const level of [edge, region, root]) {
        const lines = await eventually(
          async () => linesOf(level).filter((line) => line.id === id),
          (found) => found.length > 0,
        );
        expect(lines, file).toMatchObject([{ status: 200 }]);
      }
      expect(
        source.requests.filter(({ headers }) => headers['x-request-id'] === id).length,
        file,
      ).toBeGreaterThan(0);
    }
    // An id that could do harm in a log is replaced, once, by the first that sees it.
    const odd = await ask(edge.url, fresh(source), { headers: { 'x-request-id': 'a"b' } });
    expect(odd.status).toBe(200);
    const ids = source.requests.map(({ headers }) => headers['x-request-id']);
    expect(ids.at(-1)).toMatch(/^[0-9a-f]{12}-\w+$/);
    await eventually(
      async () => [edge, region, root].every((level) => linesOf(level).some(({ id }) => id === ids.at(-1))),
      (everywhere) => everywhere,
    );
  });

  it('that goes in a circle of two is 508 with a text on both, and no fault of either', async () => {
    const ports = [await freePort(), await freePort()];
    const [here, there] = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string];
    const one = await node({ upstreams: [{ url: there, name: 'two' }], port: Number(ports[0]) });
    const two = await node({ upstreams: [{ url: here, name: 'one' }], port: Number(ports[1]) });
    // The first to start was alone for a while.
    const before = await eventually(
      () => figuresOf(one, 'two'),
      ({ state, isModferry }) => state === 'healthy' && isModferry,
    );
    for (const [index, asked] of [one, two, one, two, one, two].entries()) {
      for (const name of ['@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/list', '@latest']) {
        const answer = await ask(asked.url, `/example.com/loop${index}/${name}`);
        expect(answer.status, name).toBe(508);
        expect(answer.text).toMatch(/leads back to this server/);
      }
    }
    const after = await figuresOf(one, 'two');
    expect(after.state).toBe('healthy');
    expect(after.windows['5m'].failures).toBe(before.windows['5m'].failures);
  });
});

describe('what a parent tells', () => {
  it('is that it is a modferry, why it failed, and how long a change of its source may take', async () => {
    const source = await upstream({ rules: [{ match: /broken/, fault: status(500) }] });
    const root = await node({ upstreams: [source.url] });
    const headers = { 'x-modferry-via': 'child' };
    const good = await ask(root.url, fresh(source), { headers });
    expect(good.headers['x-modferry']).toMatch(/^\d+\.\d+\.\d+/);
    const broken = '/example.com/broken/@v/v1.0.0.mod';
    const failed = await ask(root.url, broken, { headers });
    expect(failed).toMatchObject({ status: 502, headers: { 'x-modferry-cause': 'sources' } });
    const plain = await ask(root.url, broken);
    expect(Object.keys(plain.headers).filter((name) => name.startsWith('x-modferry'))).toEqual([]);
    const ready = await ask(root.url, '/readyz');
    expect(ready.status).toBe(200);
    expect(ready.headers['x-modferry']).toBe(good.headers['x-modferry']);
    expect(Number(ready.headers['x-modferry-failover'])).toBeGreaterThan(1_000);
  });

  it('comes in the time that its child has left', async () => {
    const source = await upstream({ rules: [{ match: /./, fault: stall() }] });
    const root = await node({ upstreams: [source.url] });
    const headers = { 'x-modferry-via': 'child', 'x-modferry-remaining': '2000' };
    const files = ['@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/list', '@latest', '@v/main.info'];
    const answers = await Promise.all(
      files.map((file) => ask(root.url, `/example.com/slow/${file}`, { headers, timeoutMs: 5_000 })),
    );
    for (const [index, answer] of answers.entries()) {
      expect(answer, files[index]).toMatchObject({
        status: 504,
        headers: { 'x-modferry-cause': 'deadline' },
      });
      expect(answer.text).toContain('2000 ms');
    }
  });

  it('is 504 at once where too little of that is left to ask anybody', async () => {
    const source = await upstream({ rules: [{ match: /./, fault: stall() }] });
    const root = await node({ upstreams: [source.url] });
    const headers = { 'x-modferry-via': 'child', 'x-modferry-remaining': '400' };
    for (const file of ['v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip', 'list', 'main.info']) {
      const answer = await ask(root.url, `/example.com/soon/@v/${file}`, { headers });
      expect(answer, file).toMatchObject({ status: 504, headers: { 'x-modferry-cause': 'deadline' } });
      expect(answer.text).toContain('not asked: too little time was left');
    }
    expect(source.count(/example\.com/)).toBe(0);
  });

  it('is told on to the next parent, a little less on each level', async () => {
    const root = await fakeParent();
    const region = await node({ upstreams: [{ url: root.url, name: 'root' }] });
    const edge = await node({ upstreams: [{ url: region.url, name: 'region' }] });
    for (const [level, name] of [
      [region, 'root'],
      [edge, 'region'],
    ] as const) {
      await eventually(
        () => figuresOf(level, name),
        ({ isModferry }) => isModferry,
      );
    }
    const files = ['@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/list', '@latest', '@v/main.info'];
    const remaining = { 'x-modferry-via': 'child', 'x-modferry-remaining': '9000' };
    for (const headers of [remaining, {}]) {
      for (const file of files) {
        const path = `/example.com/${headers === remaining ? 'short' : 'open'}/${file}`;
        expect((await ask(edge.url, path, { headers })).status, path).toBe(404);
        const told = Number(root.asked.find((each) => each.path === path)?.headers['x-modferry-remaining']);
        // 200 ms are kept back at the edge and 200 ms at the region.
        const mostMs = headers === remaining ? 8_600 : 59_800;
        expect(told, path).toBeLessThanOrEqual(mostMs);
        expect(told, path).toBeGreaterThan(mostMs - 5_000);
      }
    }
  });

  it('begins before it is verified there, since the child verifies, which still gives nothing unverified away', async () => {
    const module = fakeModule({ path: 'example.com/big', paddingBytes: 2 * 1024 * 1024 });
    const middle = gate();
    onTestFinished(() => middle.open());
    const source = await upstream({
      modules: [module],
      rules: [{ match: '.zip', fault: hold(1024 * 1024, middle) }],
    });
    const root = await node({
      upstreams: [source.url],
      config: { ingest: { hold: '60s' }, timeouts: { idle: '120s' } },
    });
    const edge = await node({
      upstreams: [{ url: root.url, name: 'root' }],
      config: { ingest: { hold: '100ms' } },
    });
    // From its first answer on the edge knows what the root is.
    expect((await ask(edge.url, '/example.com/big/@v/v1.0.0.mod')).status).toBe(200);
    const begun = Promise.withResolvers<number>();
    const client = ask(edge.url, '/example.com/big/@v/v1.0.0.zip', {
      onData: (_chunk, total) => begun.resolve(total),
      timeoutMs: 30_000,
    });
    client.catch(begun.reject);
    expect(await begun.promise).toBeLessThanOrEqual(1024 * 1024);
    middle.open();
    const answer = await client;
    expect(answer.complete).toBe(true);
    expect(answer.body.equals(module.zip)).toBe(true);
  });
});

describe('a parent whose sources are all dead', () => {
  it('fails the request with its first line, and stays well in the eyes of the child', async () => {
    const source = await upstream();
    const root = await node({ upstreams: [{ url: source.url, name: 'mirror' }] });
    const edge = await node({ upstreams: [{ url: root.url, name: 'root' }] });
    expect((await fetchFrom(edge, fresh(source))).source).toBe('upstream:root');
    await source.refuse();
    for (let nth = 0; nth < 8; nth += 1) {
      const answer = await ask(edge.url, `/example.com/dead${nth}/@v/v1.0.0.mod`);
      expect(answer.status).toBe(502);
      expect(answer.text).toMatch(
        new RegExp(`^root: status 50[234]: example\\.com/dead${nth}@v1\\.0\\.0\\.mod: `, 'm'),
      );
    }
    const figures = await figuresOf(edge, 'root');
    expect(figures).toMatchObject({ state: 'healthy', isModferry: true });
    expect(figures.windows['5m'].failures).toBe(0);

    await source.listenAgain();
    const path = fresh(source);
    await eventually(
      () => ask(edge.url, path),
      (answer) => answer.status === 200,
    );
  });
});

describe('the levels of a cascade', () => {
  it('are left by themselves when the middle is killed, and taken again when it is back', async () => {
    const { source, region, edge, startRegion } = await cascade();
    expect((await fetchFrom(edge, fresh(source))).source).toBe('upstream:region');

    await region.kill();
    for (let nth = 0; nth < 5; nth += 1) {
      const answer = await fetchFrom(edge, fresh(source));
      expect(answer).toMatchObject({ status: 200, source: 'upstream:root' });
    }
    await eventually(
      () => figuresOf(edge, 'region'),
      ({ state, favouriteOf }) => /^(suspect|out)$/.test(state) && favouriteOf.length === 0,
    );
    expect((await figuresOf(edge, 'root')).favouriteOf).toContain('public');

    await startRegion();
    await eventually(
      () => fetchFrom(edge, fresh(source)),
      (answer) => answer.source === 'upstream:region',
      20_000,
    );
    await eventually(
      () => figuresOf(edge, 'region'),
      ({ state, favouriteOf }) => state === 'healthy' && favouriteOf.includes('public'),
    );
  });

  it('cost no time-out each while the middle hangs', async () => {
    const firstByteMs = 3_000;
    const edge = {
      timeouts: {
        first_byte: { meta: `${firstByteMs}ms`, zip: `${firstByteMs}ms` },
        first_byte_floor: `${firstByteMs}ms`,
      },
      hedge: { enabled: false },
    };
    const { source, region, edge: asked } = await cascade({ edge });
    expect((await fetchFrom(asked, fresh(source))).source).toBe('upstream:region');
    process.kill(region.pid, 'SIGSTOP');
    await eventually(
      () => figuresOf(asked, 'region'),
      ({ state }) => state !== 'healthy',
    );
    let tookMs = 0;
    for (let nth = 0; nth < 5; nth += 1) {
      const answer = await fetchFrom(asked, fresh(source));
      expect(answer).toMatchObject({ status: 200, source: 'upstream:root' });
      tookMs += answer.tookMs;
    }
    expect(tookMs).toBeLessThan(firstByteMs);
    process.kill(region.pid, 'SIGCONT');
    await eventually(
      () => fetchFrom(asked, fresh(source)),
      (answer) => answer.source === 'upstream:region',
      20_000,
    );
  });

  it('are left when the middle says at /readyz that it stops, before it refuses anybody', async () => {
    const { source, region, edge } = await cascade({ region: { server: { drain_wait: '60s' } } });
    expect((await fetchFrom(edge, fresh(source))).source).toBe('upstream:region');
    region.signal('SIGTERM');
    await region.waitForLine(/stopping/);
    await eventually(
      () => fetchFrom(edge, fresh(source)),
      (answer) => answer.source === 'upstream:root',
    );
    expect((await ask(region.url, '/healthz')).status).toBe(200);
    expect((await ask(region.url, fresh(source))).status).toBe(200);
  });

  it('keep what is stored at hand when every one above is dead', async () => {
    const { source, root, region, edge } = await cascade();
    const path = fresh(source);
    const before = await fetchFrom(edge, path);
    await Promise.all([root.kill(), region.kill()]);
    const after = await fetchFrom(edge, path);
    expect(after).toMatchObject({ status: 200, text: before.text, source: 'store' });
    expect((await fetchFrom(edge, fresh(source))).status).toBe(502);
  });
});
