import { describe, expect, it } from 'vitest';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import type { Ingest } from '../ingest/ingest.ts';
import { nameOf } from '../ingest/ingest.ts';
import type { Store } from '../store/store.ts';
import { LookAhead } from './look-ahead.ts';
import type { LookAheadOptions } from './types.ts';

const path = 'example.com/a' as ModulePath;
const version = 'v1.0.0' as Version;

function setUp(
  options: Partial<LookAheadOptions> = {},
  facts: { mods?: Record<string, string>; private?: string; isOffline?: () => boolean } = {},
) {
  const asked: string[] = [];
  const ingest = {
    isFilling: () => false,
    small: async (key: ArtifactKey) => {
      asked.push(nameOf(key));
      return {
        body: Buffer.from(facts.mods?.[key.path] ?? 'module x\n'),
        sha256: '',
        source: 's',
        verifiedAtMs: 0,
      };
    },
    zip: (key: ArtifactKey, _asker: unknown, accept: (bytes: number) => boolean) => {
      asked.push(`${nameOf(key)} ${accept(1_000) ? 'taken' : 'left'}`);
      return { open: async () => ({ sizeBytes: 1_000, verified: undefined, era: 0 }), leave: () => {} };
    },
  } as unknown as Ingest;
  const lookAhead = new LookAhead({
    ingest,
    store: { has: async () => false } as unknown as Store,
    options: () => ({
      enabled: true,
      concurrency: 4,
      depth: 2,
      maxZipBytes: 10_000,
      bytesInFlight: 100_000,
      perRequest: 100,
      ...options,
    }),
    isOffline: () => facts.isOffline?.() ?? false,
    allowed: (module) => module !== facts.private,
  });
  return { lookAhead, asked };
}

async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const requires = (...modules: string[]): string =>
  `module x\nrequire (\n${modules.map((module) => `\t${module} v1.0.0\n`).join('')})\n`;

describe('LookAhead', () => {
  it('brings .mod and .zip of a version whose .info was asked', async () => {
    const { lookAhead, asked } = setUp();

    lookAhead.afterInfo(path, version);
    await idle();

    expect(asked.sort()).toEqual(['example.com/a@v1.0.0.mod', 'example.com/a@v1.0.0.zip taken']);
  });

  it('follows the requirements of a go.mod only as deep as it is told', async () => {
    const mods = { 'b.com/x': requires('c.com/x'), 'c.com/x': requires('d.com/x') };
    const { lookAhead, asked } = setUp({ depth: 2 }, { mods });

    lookAhead.afterMod(path, Buffer.from(requires('b.com/x')));
    await idle();

    expect(asked).toEqual(['b.com/x@v1.0.0.mod', 'c.com/x@v1.0.0.mod']);
  });

  it('never asks for a private module, not even as a requirement of a public one', async () => {
    const { lookAhead, asked } = setUp({}, { private: 'corp.example/secret' });

    lookAhead.afterInfo('corp.example/secret' as ModulePath, version);
    lookAhead.afterMod(path, Buffer.from(requires('corp.example/secret', 'b.com/x')));
    await idle();

    expect(asked).toEqual(['b.com/x@v1.0.0.mod']);
  });

  it('does nothing when switched off, except completing a version that was fetched', async () => {
    const { lookAhead, asked } = setUp({ enabled: false });

    lookAhead.afterInfo(path, version);
    lookAhead.afterMod(path, Buffer.from(requires('b.com/x')));
    lookAhead.complete(path, version);
    await idle();

    expect(asked.sort()).toEqual(['example.com/a@v1.0.0.info', 'example.com/a@v1.0.0.mod']);
  });

  it('leaves zips over the size alone', async () => {
    const { lookAhead, asked } = setUp({ maxZipBytes: 999 });

    lookAhead.afterInfo(path, version);
    await idle();

    expect(asked).toContain('example.com/a@v1.0.0.zip left');
  });

  it('fetches no more for one request than it may', async () => {
    const { lookAhead, asked } = setUp({ perRequest: 3 });

    lookAhead.afterMod(path, Buffer.from(requires('b.com/x', 'c.com/x', 'd.com/x', 'e.com/x', 'f.com/x')));
    await idle();

    expect(asked).toHaveLength(3);
  });

  it('counts what was fetched and never asked', async () => {
    const { lookAhead } = setUp();
    lookAhead.afterMod(path, Buffer.from(requires('b.com/x', 'c.com/x')));
    await idle();

    lookAhead.asked({ path: 'b.com/x' as ModulePath, version, ext: 'mod' });

    expect(lookAhead.counts).toMatchObject({ used: 1, usedBytes: 9, unasked: 1, unaskedBytes: 9 });
  });

  it('follows a client that downloads its graph in order', async () => {
    const { lookAhead, asked } = setUp();
    for (const module of ['a.com/x', 'b.com/x', 'c.com/x'])
      lookAhead.askedMod('client', module as ModulePath, version);

    lookAhead.forecast('client', 'a.com/x' as ModulePath);
    await idle();

    expect(asked.sort()).toEqual([
      'b.com/x@v1.0.0.info',
      'b.com/x@v1.0.0.zip taken',
      'c.com/x@v1.0.0.info',
      'c.com/x@v1.0.0.zip taken',
    ]);
  });
});
