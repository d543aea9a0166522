import { describe, expect, it } from 'vitest';
import { loadConfig } from '../config/load.ts';
import { testRoutes } from '../route/test-routes.ts';
import { officialKey, officialUrls } from '../sumdb/official.ts';
import { checksumModes } from './checksum-modes.ts';
import { chooseDatabases } from './database-choice.ts';

/** A key whose hash fits its name; of no database. */
const testKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';

async function configOf(values: Record<string, string> = {}) {
  const env = Object.fromEntries(Object.entries(values).map(([name, text]) => [`MODFERRY_${name}`, text]));
  const { config } = await loadConfig({
    file: undefined,
    env,
    flags: {},
    patternFault: () => undefined,
    readFile: () => Promise.reject(new Error('no file')),
  });
  return config;
}

describe('which checksum database proves modules', () => {
  const official = { name: 'sum.golang.org', verifierKey: officialKey, urls: officialUrls };

  it.each([
    ['nothing set', undefined, official],
    ['the name', 'sum.golang.org', official],
    [
      'the name and an address',
      'sum.golang.org https://mirror.test/sumdb',
      { ...official, urls: ['https://mirror.test/sumdb'] },
    ],
    ['its other name', 'sum.golang.google.cn', { ...official, urls: ['https://sum.golang.google.cn'] }],
    ['a key', testKey, { name: 'PeterNeumann', verifierKey: testKey, urls: ['https://PeterNeumann'] }],
    [
      'a key and an address',
      `${testKey} https://sum.test`,
      { name: 'PeterNeumann', verifierKey: testKey, urls: ['https://sum.test'] },
    ],
  ])('follows GOSUMDB: %s', async (_what, gosumdb, expected) => {
    const choice = chooseDatabases(await configOf(), gosumdb);
    expect(choice.proving).toBe(expected.name);
    expect(choice.databases).toContainEqual(expected);
    expect(choice.warnings).toEqual([]);
  });

  it('is none with GOSUMDB=off, which is warned of; the official one stays for toolchains', async () => {
    const choice = chooseDatabases(await configOf(), 'off');
    expect(choice.proving).toBeUndefined();
    expect(choice.databases).toEqual([official]);
    expect(choice.warnings).toEqual([expect.stringContaining('GOSUMDB=off')]);
  });

  it.each([
    'sum.example.com',
    'PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    'sum.golang.org http://evil.test',
  ])('refuses to start with GOSUMDB=%s, as go does', async (gosumdb) => {
    const config = await configOf();
    expect(() => chooseDatabases(config, gosumdb)).toThrow(
      expect.objectContaining({ code: 'bad_gosumdb', message: expect.stringContaining('GOSUMDB=') }),
    );
  });

  it('is what the configuration says, whatever GOSUMDB says', async () => {
    const config = await configOf({ CHECKSUMS_DATABASE: `${testKey} https://one.test https://two.test` });
    expect(chooseDatabases(config, 'off')).toMatchObject({
      proving: 'PeterNeumann',
      databases: [official, { name: 'PeterNeumann', urls: ['https://one.test', 'https://two.test'] }],
    });
    const off = chooseDatabases(await configOf({ CHECKSUMS_DATABASE: 'off' }), testKey);
    expect(off.proving).toBeUndefined();
    expect(off.warnings).toEqual([expect.stringContaining('checksums.database: off')]);
  });

  it('is not changed by --sumdb, which only adds databases and addresses', async () => {
    const config = await configOf({
      SUMDB: `sum.example.com, sum.golang.org https://mirror.test, ${testKey}`,
    });
    const choice = chooseDatabases(config, undefined);
    expect(choice.proving).toBe('sum.golang.org');
    expect(choice.databases).toEqual([
      { ...official, urls: ['https://mirror.test'] },
      { name: 'sum.example.com', verifierKey: undefined, urls: ['https://sum.example.com'] },
      { name: 'PeterNeumann', verifierKey: testKey, urls: ['https://PeterNeumann'] },
    ]);
  });
});

describe('the key of a database that is passed through', () => {
  it('never replaces the one that proves', async () => {
    const other = 'sum.golang.org+5f212b10+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    const config = {
      ...(await configOf()),
      sumdbs: [{ name: 'sum.golang.org', verifierKey: other, urls: [] }],
    };
    const { databases, warnings } = chooseDatabases(config, undefined);
    expect(databases).toEqual([{ name: 'sum.golang.org', verifierKey: officialKey, urls: officialUrls }]);
    expect(warnings).toEqual([expect.stringContaining('another key')]);
  });
});

describe('how a module is proven', () => {
  it('is the mode, but for the lists, and never for what no database may hear of', async () => {
    const config = await configOf({
      CHECKSUMS_MODE: 'prefer',
      CHECKSUMS_REQUIRE: 'example.com/strict',
      CHECKSUMS_PREFER: 'example.com/lax',
      CHECKSUMS_OFF: 'example.com, git.corp.example',
    });
    const modes = checksumModes(
      config.checksums,
      ['example.com/strict/inner'],
      testRoutes(['git.corp.example/team']),
    );
    expect(
      [
        'example.org/a',
        'example.com/strict',
        'example.com/lax/b',
        'example.com/c',
        'git.corp.example/team/x',
        'example.com/strict/inner',
      ].map((path) => [path, modes.mode(path), modes.isOutside(path)]),
    ).toEqual([
      ['example.org/a', 'prefer', false],
      ['example.com/strict', 'require', false],
      ['example.com/lax/b', 'prefer', false],
      ['example.com/c', 'off', true],
      ['git.corp.example/team/x', 'off', true],
      ['example.com/strict/inner', 'off', true],
    ]);
  });

  it('lets every go look toolchains up', async () => {
    const config = await configOf({ CHECKSUMS_OFF: 'golang.org' });
    expect(checksumModes(config.checksums, ['*'], testRoutes()).isOutside('golang.org/toolchain')).toBe(
      false,
    );
    expect(checksumModes(config.checksums, ['*'], testRoutes()).isOutside('golang.org/x/mod')).toBe(true);
  });

  it('is told to clients of /sumdb/ whatever our own mode is', async () => {
    const config = await configOf({ CHECKSUMS_MODE: 'off' });
    const modes = checksumModes(config.checksums, [], testRoutes());
    expect([modes.mode('example.com/a'), modes.isOutside('example.com/a')]).toEqual(['off', false]);
  });
});
