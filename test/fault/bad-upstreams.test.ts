/**
 * Each fault an upstream can commit, on each kind of artifact: with a good upstream behind it the client gets the
 * right bytes and never notices; alone it becomes a status by cause or a broken transfer. Nothing wrong is stored.
 */
import { describe, expect, it } from 'vitest';
import {
  ask,
  expectCleanStore,
  modferry,
  runModferry,
  storedVersions,
  storedZips,
  upstream,
} from '../e2e/support.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import {
  captivePortal,
  chunked,
  closeAfter,
  drip,
  endless,
  type Fault,
  flipByte,
  garbage,
  gzip,
  hugeHeaders,
  redirectLoop,
  replaceBody,
  reset,
  stall,
  status,
  truncate,
  wrongLength,
} from '../kit/faults.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';

const exts = ['info', 'mod', 'zip'] as const;
type Ext = (typeof exts)[number];

interface Case {
  readonly name: string;
  readonly fault: (body: Buffer) => Fault | readonly Fault[];
  /** Statuses when nobody else has it. */
  readonly alone: readonly number[];
  /** Kinds of files this fault shows in. Default: all. */
  readonly exts?: readonly Ext[];
}

const half = (body: Buffer): number => Math.floor(body.length / 2);
const cases: readonly Case[] = [
  { name: 'no answer at all', fault: () => stall(), alone: [504] },
  { name: 'a stall before the first byte of the body', fault: () => stall(0), alone: [504] },
  { name: 'a stall in the body', fault: (body) => stall(half(body)), alone: [504] },
  { name: 'a reset before the headers', fault: () => reset(), alone: [502] },
  { name: 'a reset in the body', fault: (body) => reset(half(body)), alone: [502] },
  { name: 'a cut body', fault: (body) => truncate(half(body)), alone: [502] },
  { name: 'a cut chunked body', fault: (body) => truncate(half(body), 'chunked'), alone: [502] },
  { name: 'a body shorter than declared', fault: (body) => wrongLength(body.length + 10), alone: [502, 504] },
  // A .mod that ends early by HTTP's own rules is a good .mod: only its hash could tell.
  {
    name: 'a body longer than declared',
    fault: (body) => wrongLength(body.length - 10),
    alone: [502],
    exts: ['info', 'zip'],
  },
  // In .info and .mod a changed byte is only caught where it breaks the text.
  { name: 'a wrong byte', fault: () => flipByte(20), alone: [502] },
  {
    name: 'a wrong byte in the directory at the end',
    fault: () => flipByte(-30),
    alone: [502],
    exts: ['zip'],
  },
  { name: 'an empty body', fault: () => replaceBody(''), alone: [502] },
  { name: 'another file', fault: () => replaceBody('{"Version":"v0.0.1"}\n'), alone: [502] },
  { name: 'a log-in page', fault: () => captivePortal(), alone: [502] },
  {
    name: 'a log-in page as text/plain',
    fault: () => replaceBody('<!DOCTYPE html>\n<html><body>module x\n</body></html>\n'),
    alone: [502],
  },
  { name: 'a 500', fault: () => status(500), alone: [502] },
  { name: 'a 403', fault: () => status(403), alone: [502] },
  { name: 'a 429', fault: () => status(429, { 'Retry-After': '3600' }), alone: [502] },
  { name: 'a 204', fault: () => status(204, {}, ''), alone: [502] },
  {
    name: 'a 206 that nobody asked for',
    fault: (body) => status(206, { 'Content-Range': `bytes 0-9/${body.length}` }, body.subarray(0, 10)),
    alone: [502],
  },
  { name: 'a redirect loop', fault: () => redirectLoop(), alone: [502] },
  { name: 'gzip that nobody accepts', fault: () => gzip(), alone: [502] },
  { name: 'something that is no HTTP', fault: () => garbage(), alone: [502] },
  { name: 'huge headers', fault: () => hugeHeaders(256 * 1024), alone: [502] },
  { name: 'a body without end', fault: () => endless(), alone: [502] },
];

/** Short patience, limits that an endless body passes soon, and room for all cases at once. */
const config = {
  timeouts: {
    connect: '1s',
    first_byte: { meta: '400ms', zip: '400ms' },
    last_hope: '800ms',
    idle: '1500ms',
  },
  ingest: { hold: '1400ms', per_upstream: 128, concurrency: 256, limits: { zip: '600KiB', mod: '300KiB' } },
};

function moduleFor(index: number, paddingBytes = 0): FakeModule {
  return fakeModule({ path: `example.com/m${index}`, paddingBytes });
}

function rig(source: FakeUpstream, modules: readonly FakeModule[]): void {
  for (const [index, { fault }] of cases.entries()) {
    const module = modules[index] as FakeModule;
    for (const ext of exts) {
      source.faults.add({ match: `/m${index}/@v/v1.0.0.${ext}`, fault: fault(module[ext]) });
    }
  }
}

/** Not all at once: on a busy machine the bad upstream would lose its turn before it was even asked. */
async function fewAtOnce<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const work = async (): Promise<void> => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: 12 }, work));
}

/** Asked first whatever its health: here every fault is to be met, not the memory of earlier ones. */
async function pin(proxy: ModferryProcess, source: FakeUpstream): Promise<void> {
  const name = new URL(source.url).host;
  const pinned = await runModferry(['upstreams', 'pin', name, '--data', proxy.dataDir]);
  expect(pinned).toMatchObject({ code: 0, stdout: expect.stringContaining('is pinned') as string });
}

const modules = cases.map((_, index) => moduleFor(index));

describe('with a good upstream behind the bad one', () => {
  it('the client gets the right bytes whatever the first one does, and only they are stored', async () => {
    const bad = await upstream({ modules });
    rig(bad, modules);
    const good = await upstream({ modules });
    const proxy = await modferry({ upstreams: [bad, good], config });
    await pin(proxy, bad);

    const wanted = cases.flatMap((one, index) => (one.exts ?? exts).map((ext) => ({ one, index, ext })));
    await fewAtOnce(wanted, async ({ one, index, ext }) => {
      const module = modules[index] as FakeModule;
      const answer = await ask(proxy.url, `/${module.path}/@v/v1.0.0.${ext}`);
      expect(answer, `${one.name}, .${ext}`).toMatchObject({ status: 200, complete: true });
      expect(answer.body.equals(module[ext]), `${one.name}, .${ext}: the right bytes`).toBe(true);
      expect(bad.count(`/m${index}/@v/v1.0.0.${ext}`), `${one.name}, .${ext}: asked first`).toBeGreaterThan(
        0,
      );
    });
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    const stored = await storedVersions(proxy.dataDir);
    expect(stored).toHaveLength(modules.length);
  });

  it('lists and @latest come from the good one', async () => {
    const lists: (Fault | Fault[])[] = [
      stall(),
      reset(),
      captivePortal(),
      status(500),
      gzip(),
      garbage(),
      endless(),
      redirectLoop(),
      hugeHeaders(256 * 1024),
      truncate(3),
    ];
    const each = lists.map((_, index) => fakeModule({ path: `example.com/l${index}` }));
    const bad = await upstream({ modules: each });
    for (const [index, fault] of lists.entries()) bad.faults.add({ match: new RegExp(`/l${index}/`), fault });
    const good = await upstream({ modules: each });
    const proxy = await modferry({ upstreams: [bad, good], config });
    await Promise.all(
      each.map(async ({ path }) => {
        expect(await ask(proxy.url, `/${path}/@v/list`), path).toMatchObject({
          status: 200,
          text: 'v1.0.0\n',
        });
        const latest = await ask(proxy.url, `/${path}/@latest`);
        expect(latest.status, path).toBe(200);
        expect(JSON.parse(latest.text)).toMatchObject({ Version: 'v1.0.0' });
      }),
    );
  });
});

describe('with nobody but the bad upstream', () => {
  it('the status names the cause, no body is taken for the file, and nothing is stored', async () => {
    const bad = await upstream({ modules });
    rig(bad, modules);
    const proxy = await modferry({ upstreams: [bad], config });
    await pin(proxy, bad);

    const wanted = cases.flatMap((one, index) => (one.exts ?? exts).map((ext) => ({ one, index, ext })));
    await fewAtOnce(wanted, async ({ one, index, ext }) => {
      const answer = await ask(proxy.url, `/example.com/m${index}/@v/v1.0.0.${ext}`);
      expect(one.alone, `${one.name}, .${ext}: ${answer.status} ${answer.text}`).toContain(answer.status);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.text, `${one.name}, .${ext}`).toMatch(
        new RegExp(`^127.0.0.1:${bad.port}: .* (ms|s)\\)$`, 'm'),
      );
    });
    expect((await ask(proxy.url, '/healthz')).status).toBe(200);
    await proxy.stop();
    expect(await storedVersions(proxy.dataDir)).toEqual([]);
  });

  it('a zip that is already streaming breaks off instead of ending, and is not stored', async () => {
    const faults: readonly [string, (body: Buffer) => Fault | readonly Fault[]][] = [
      ['reset', (body) => reset(half(body))],
      ['truncate', (body) => truncate(body.length - 1000)],
      ['chunked truncate', (body) => truncate(body.length - 1000, 'chunked')],
      ['stall', (body) => stall(half(body))],
      ['flip early', () => flipByte(5000)],
      ['flip late', () => flipByte(-200)],
      ['longer', (body) => wrongLength(body.length - 10)],
      ['shorter', (body) => wrongLength(body.length + 10)],
      ['endless', () => endless()],
    ];
    const big = faults.map((_, index) => moduleFor(index, 400 * 1024));
    const bad = await upstream({ modules: big });
    // Slow enough that the hold of 50 ms is over long before the end: the transfer takes about a second.
    for (const [index, [, fault]] of faults.entries()) {
      const zip = big[index]?.zip ?? Buffer.alloc(0);
      bad.faults.add({ match: `/m${index}/@v/v1.0.0.zip`, fault: [drip(400 * 1024), fault(zip)].flat() });
    }
    // A repeat would go on where the transfer broke, and complete it.
    const once = { ...config, retry: { repeats: 0 } };
    const proxy = await modferry({ upstreams: [bad], config: once, env: { MODFERRY_INGEST_HOLD: '50ms' } });
    await Promise.all(
      faults.map(async ([name], index) => {
        const zip = big[index]?.zip ?? Buffer.alloc(0);
        const answer = await ask(proxy.url, `/example.com/m${index}/@v/v1.0.0.zip`);
        expect(answer, name).toMatchObject({ status: 200, complete: false });
        expect(answer.body.length, name).toBeGreaterThan(0);
        // What runs on behind the true end cannot be known for it: there the break alone says so.
        if (name !== 'endless') expect(answer.body.length, name).toBeLessThan(zip.length);
      }),
    );
    await proxy.stop();
    expect(await storedZips(proxy.dataDir)).toEqual([]);
  });
});

describe('what is odd but no fault', () => {
  it('is served and stored: no length, a slow drip, a socket closed behind the answer', async () => {
    const odd: Fault[] = [chunked(), drip(4000), closeAfter()];
    const each = odd.map((_, index) => fakeModule({ path: `example.com/o${index}` }));
    const source = await upstream({ modules: each });
    for (const [index, fault] of odd.entries())
      source.faults.add({ match: new RegExp(`/o${index}/`), fault });
    const proxy = await modferry({ upstreams: [source], config });
    for (const module of each) {
      for (const ext of exts) {
        const answer = await ask(proxy.url, `/${module.path}/@v/v1.0.0.${ext}`);
        expect(answer, `${module.path} ${ext}`).toMatchObject({
          status: 200,
          body: module[ext],
          complete: true,
        });
      }
    }
    await proxy.stop();
    await expectCleanStore(proxy.dataDir);
    expect(await storedVersions(proxy.dataDir)).toHaveLength(each.length);
  });
});
