import { describe, expect, it } from 'vitest';
import { loadConfig } from './load.ts';
import { load, reader, textsOf } from './load-kit.ts';

describe('loadConfig', () => {
  it('gives the defaults without a file', async () => {
    const { config, origin } = await loadConfig({ env: {} });

    expect(config.listen).toEqual([{ host: 'localhost', port: 8080 }]);
    expect(config.dataDir).toBe('./modferry-data');
    expect(config.upstreams).toBeUndefined();
    expect(config.ingest).toMatchObject({
      holdMs: 2000,
      tailBytes: 65_536,
      limits: { zipBytes: 500 * 1024 ** 2 },
    });
    expect(config.timeouts.firstByteMs).toEqual({ meta: 5000, zip: 10_000 });
    expect(config.freshness.staleIfErrorMs).toBe(720 * 3_600_000);
    expect(config.store.stopAtRatio).toBe(0.95);
    expect(origin.sourceOf('ingest.hold')).toEqual({ layer: 'default' });
  });

  it.each(['', '\n', '# only a comment\n', '---\n', 'ingest:\n', 'ingest: {}\nupstreams:\n'])(
    'takes the empty file %j as defaults',
    async (yaml) => {
      const { config } = await load(yaml);

      expect(config).toEqual((await loadConfig({ env: {} })).config);
    },
  );

  it('reads durations, sizes, lists and upstreams into numbers and our own names', async () => {
    const { config } = await load(`
listen: [127.0.0.1:0, '[::1]:8081', ':80']
path_prefix: /go/proxy/
ingest: { hold: 500ms, tail: 128KiB, limits: { list: 1MB } }
private: 'git.corp.example/*,*.internal'
upstreams:
  - https://goproxy.cn,direct
  - url: https://artifacts.corp.example/go/
    private: true
    fall_through: not_found
    timeouts: { first_byte: { zip: 1m30s } }
`);

    expect(config.listen).toEqual([
      { host: '127.0.0.1', port: 0 },
      { host: '::1', port: 8081 },
      { host: '', port: 80 },
    ]);
    expect(config.pathPrefix).toBe('/go/proxy');
    expect(config.ingest).toMatchObject({
      holdMs: 500,
      tailBytes: 131_072,
      limits: { listBytes: 1_000_000 },
    });
    expect(config.privatePatterns).toEqual(['git.corp.example/*', '*.internal']);
    const [first, second] = config.upstreams ?? [];
    expect(first?.kind === 'goproxy' && first.list.reveal()).toBe('https://goproxy.cn,direct');
    expect(second).toMatchObject({
      kind: 'server',
      url: 'https://artifacts.corp.example/go',
      isPrivate: true,
      fallThrough: 'not_found',
      proxy: 'env',
      timeouts: { firstByteMs: { zip: 90_000, meta: undefined } },
    });
  });

  it('gives a snapshot that cannot be changed', async () => {
    const { config } = await load('upstreams: [{ url: https://goproxy.cn }]');

    expect(() => Object.assign(config.ingest.limits, { zipBytes: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.upstreams?.[0] ?? {}, { url: '' })).toThrow(TypeError);
  });

  it('never keeps an item limit above the cache it is for', async () => {
    const { config } = await load('memory: { hot_zip: 32MiB }');

    expect(config.memory.hotZipMaxItemBytes).toBe(32 * 1024 ** 2);
  });
});

describe('layers', () => {
  it('lets flags win over the environment, that over the file, and that over defaults', async () => {
    const { config, origin } = await load(
      'data: /file\ningest:\n  hold: 3s\n  concurrency: 7\nlog: { level: warn }\n',
      {
        env: { MODFERRY_DATA: '/env', MODFERRY_INGEST_HOLD: '4s' },
        flags: { data: '/flag' },
      },
    );

    expect([config.dataDir, config.ingest.holdMs, config.ingest.concurrency]).toEqual(['/flag', 4000, 7]);
    expect(origin.sourceOf('data')).toMatchObject({ layer: 'flag', where: '--data' });
    expect(origin.sourceOf('ingest.hold')).toMatchObject({ layer: 'env', where: 'MODFERRY_INGEST_HOLD' });
    expect(origin.sourceOf('ingest.concurrency')).toMatchObject({ layer: 'file', line: 4, column: 16 });
    expect(origin.sourceOf('ingest.tail')).toEqual({ layer: 'default' });
  });

  it('reads every kind of value from a variable', async () => {
    const { config } = await loadConfig({
      env: {
        MODFERRY_LISTEN: '[::1]:0, localhost:8080',
        MODFERRY_UPSTREAM: 'https://goproxy.cn|https://goproxy.io,off',
        MODFERRY_PRIVATE: 'a.example/*,b.example',
        MODFERRY_SUMDB: 'sum.golang.org https://goproxy.cn/sumdb/sum.golang.org',
        MODFERRY_LOOK_AHEAD_ENABLED: '0',
        MODFERRY_SERVER_MAX_CONNECTIONS: '12',
        MODFERRY_STORE_STOP_AT: '80%',
        MODFERRY_PATH_PREFIX: '',
        HOME: '/root',
      },
    });

    expect(config.listen.map(({ port }) => port)).toEqual([0, 8080]);
    expect(config.upstreams).toHaveLength(1);
    expect(config.privatePatterns).toEqual(['a.example/*', 'b.example']);
    expect(config.sumdbs).toEqual([
      { name: 'sum.golang.org', verifierKey: undefined, urls: ['https://goproxy.cn/sumdb/sum.golang.org'] },
    ]);
    expect(config.lookAhead.enabled).toBe(false);
    expect(config.server.maxConnections).toBe(12);
    expect(config.store.stopAtRatio).toBe(0.8);
  });

  it('reads whole upstream entries from a variable as YAML', async () => {
    const { config } = await loadConfig({
      env: { MODFERRY_UPSTREAMS: '[{url: "https://goproxy.cn", max_connections: 3}, https://goproxy.io]' },
    });

    expect(config.upstreams?.map((entry) => entry.kind)).toEqual(['server', 'goproxy']);
  });

  it('reads a value that may hold credentials from the file its variable names', async () => {
    const { config } = await loadConfig({
      env: { MODFERRY_UPSTREAM_FILE: '/run/secrets/list' },
      readFile: reader({ '/run/secrets/list': 'https://me:pw@goproxy.cn\n' }),
    });

    const [entry] = config.upstreams ?? [];
    expect(entry?.kind === 'goproxy' && entry.list.reveal()).toBe('https://me:pw@goproxy.cn');
  });

  it('tells unknown variables with a suggestion, and lets those of Kubernetes and of the caller pass', async () => {
    const texts = await textsOf(
      loadConfig({
        env: {
          MODFERRY_INGEST_HODL: '2s',
          MODFERRY_PORT: 'tcp://10.0.0.1:8080',
          MODFERRY_PORT_8080_TCP_ADDR: '10.0.0.1',
          MODFERRY_SERVICE_HOST: '10.0.0.1',
          MODFERRY_CONFIG: 'x.yaml',
          MODFERRY_OURS: '1',
        },
        alsoKnownVariables: ['MODFERRY_OURS'],
      }),
    );

    expect(texts).toEqual([
      'MODFERRY_INGEST_HODL: is not a variable of modferry; did you mean MODFERRY_INGEST_HOLD?',
    ]);
  });

  it('refuses two variables for one key', async () => {
    const texts = await textsOf(
      loadConfig({
        env: { MODFERRY_UPSTREAM: 'https://goproxy.cn', MODFERRY_UPSTREAMS: 'https://goproxy.io' },
      }),
    );

    expect(texts).toEqual([
      'MODFERRY_UPSTREAMS: upstreams: MODFERRY_UPSTREAM is set as well; keep one of the two variables',
    ]);
  });

  it('tells faults of variables and flags by their names', async () => {
    const texts = await textsOf(
      load('ingest: { hold: 1s }', { env: { MODFERRY_INGEST_HOLD: 'soon' }, flags: { listen: ['8080'] } }),
    );

    expect(texts).toEqual([
      '--listen: listen[0]: "8080" is not HOST:PORT; write HOST:PORT, e.g. localhost:8080, or :8080 for every address of the machine',
      'MODFERRY_INGEST_HOLD: ingest.hold: "soon" is not a duration; write e.g. 30s, 1m30s or 500ms',
    ]);
  });
});
