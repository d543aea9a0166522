import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModferryError } from '../lib/errors.ts';
import { ConfigError, formatFaults } from './fault.ts';
import { type LoadOptions, loadConfig } from './load.ts';

type Files = Readonly<Record<string, string>>;

function reader(files: Files) {
  return async (path: string, maxBytes: number): Promise<string> => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    if (Buffer.byteLength(text) > maxBytes) throw new ModferryError('too_large', 'too large');
    return text;
  };
}

function load(yaml: string, more: Partial<LoadOptions> & { files?: Files } = {}) {
  const { files = {}, ...options } = more;
  const readFile = reader({ 'modferry.yaml': yaml, ...files });
  return loadConfig({ file: 'modferry.yaml', env: {}, readFile, ...options });
}

async function faultsOf(loading: Promise<unknown>) {
  const error: unknown = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(error)}`);
  return error.faults;
}

async function textsOf(loading: Promise<unknown>): Promise<string[]> {
  return formatFaults(await faultsOf(loading)).split('\n');
}

describe('loadConfig', () => {
  it('gives the defaults without a file', async () => {
    const { config, origin } = await loadConfig({ env: {} });

    expect(config.listen).toEqual([{ host: 'localhost', port: 8080 }]);
    expect(config.dataDir).toBe('./modferry-data');
    expect(config.upstreams).toBeUndefined();
    expect(config.ingest).toMatchObject({ holdMs: 2000, tailBytes: 65_536, limits: { zipBytes: 500 * 1024 ** 2 } });
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
    expect(config.ingest).toMatchObject({ holdMs: 500, tailBytes: 131_072, limits: { listBytes: 1_000_000 } });
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
    const { config, origin } = await load('data: /file\ningest:\n  hold: 3s\n  concurrency: 7\nlog: { level: warn }\n', {
      env: { MODFERRY_DATA: '/env', MODFERRY_INGEST_HOLD: '4s' },
      flags: { data: '/flag' },
    });

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
      { name: 'sum.golang.org', verifierKey: undefined, url: 'https://goproxy.cn/sumdb/sum.golang.org' },
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

    expect(texts).toEqual(['MODFERRY_INGEST_HODL: is not a variable of modferry; did you mean MODFERRY_INGEST_HOLD?']);
  });

  it('refuses two variables for one key', async () => {
    const texts = await textsOf(
      loadConfig({ env: { MODFERRY_UPSTREAM: 'https://goproxy.cn', MODFERRY_UPSTREAMS: 'https://goproxy.io' } }),
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
      'MODFERRY_INGEST_HOLD: ingest.hold: "soon" is not a duration; write e.g. 30s, 1m30s or 500ms',
      '--listen: listen[0]: "8080" is not HOST:PORT; write HOST:PORT, e.g. localhost:8080, or :8080 for every address of the machine',
    ]);
  });
});

describe('faults', () => {
  it('are all told at once, each with its place and what would be right', async () => {
    const texts = await textsOf(
      load(`lisen: localhost:1
path_prefix: goproxy
upstreams:
  - htp://x
  - url: htp://y
    timeouts: { idel: 3s }
  - 5
  - { name: store }
ingest:
  hold: 2x
  concurrency: 1.5
  tail: [1]
  limits: 3
log:
  level: verbose
look_ahead: { enabled: yes }
`),
    );

    expect(texts).toEqual([
      'modferry.yaml:1:1: lisen: "lisen" is not a key of modferry.yaml; did you mean "listen"?',
      'modferry.yaml:2:14: path_prefix: "goproxy" does not start with "/"; write e.g. /goproxy',
      'modferry.yaml:4:5: upstreams[0]: "htp://x" is not an http(s) URL; write e.g. https://goproxy.cn, or a mapping with url',
      'modferry.yaml:5:10: upstreams[1].url: "htp://y" is not an http(s) URL; write e.g. https://goproxy.cn',
      'modferry.yaml:6:17: upstreams[1].timeouts.idel: "idel" is not a key of upstreams[1].timeouts; did you mean "idle"?',
      'modferry.yaml:7:5: upstreams[2]: 5 is neither text nor a mapping; write e.g. https://goproxy.cn, or a mapping with url',
      'modferry.yaml:8:5: upstreams[3].url: "url" is missing; write e.g. https://goproxy.cn',
      'modferry.yaml:8:13: upstreams[3].name: "store" is a reserved name; write up to 63 letters, digits, ".", "_", "-", beginning with a letter or digit',
      'modferry.yaml:10:9: ingest.hold: "2x" is not a duration; write e.g. 30s, 1m30s or 500ms',
      'modferry.yaml:11:16: ingest.concurrency: 1.5 is not a whole number from 1 to 4096; write a whole number from 1 to 4096',
      'modferry.yaml:12:9: ingest.tail: a list is not a size; write e.g. 512MiB, 64KiB or 1GB',
      'modferry.yaml:13:11: ingest.limits: 3 stands where keys are expected; write one or more of zip, inflated, mod, info, list, each on its own line below',
      'modferry.yaml:15:10: log.level: "verbose" is not one of trace, debug, info, warn, error, silent; write one of trace, debug, info, warn, error, silent',
      'modferry.yaml:16:24: look_ahead.enabled: "yes" is not true or false; write true or false',
    ]);
  });

  it('of several keys together are told beside faults of single keys', async () => {
    const texts = await textsOf(
      load(
        `listen: [localhost:1, localhost:1]
upstreams:
  - { url: https://a.example, name: one, token: x, username: y }
  - { url: https://b.example, name: one, password: 'p' }
  - { url: 'https://u:p@c.example', username: y }
private: [ok.example, 'bad[']
timeouts: { idle: 1s, first_byte: { zip: 61s } }
ingest: { hold: 1s, tail: 16MiB, limits: { zip: 1MiB }, concurrency: 0 }
server: { headers_timeout: 40s }
`,
        { patternFault: (pattern) => (pattern === 'bad[' ? 'unclosed "["' : undefined) },
      ),
    );

    expect(texts.map((text) => text.replace(/^modferry.yaml:\d+:\d+: /, '').replace(/; .*/, ''))).toEqual([
      'listen[1]: "localhost:1" stands twice',
      'upstreams[0].token: token stands beside a user name or password',
      'upstreams[1].name: "one" is already the name of upstreams[0]',
      'upstreams[1].password: password stands without username',
      'upstreams[2].url: the URL holds credentials, and username or password is set as well',
      'private[1]: "bad[" is not a module path pattern: unclosed "["',
      'timeouts.first_byte.zip: is longer than timeouts.last_hope',
      'ingest.hold: is not shorter than timeouts.idle',
      'ingest.tail: is larger than ingest.limits.zip',
      'ingest.concurrency: 0 is not a whole number from 1 to 4096',
      'server.headers_timeout: is longer than server.request_timeout',
    ]);
  });

  it.each([
    ['a: 1\na: 2\n', /^modferry.yaml:2:1: not valid YAML: .*unique.*; keep one of the two keys$/],
    ['listen: [a\n', /^modferry.yaml:2:1: not valid YAML: /],
    ['ingest:\n\thold: 2s\n', /^modferry.yaml:2:1: not valid YAML: .*; indent with spaces$/],
    ['listen: !!js/function x\n', /^modferry.yaml:1:9: not valid YAML: .*; remove the "!" tag$/],
    ['data: a\n---\ndata: b\n', /one document/],
    ['- listen\n', /^modferry.yaml:1:1: the file is not a mapping; /],
    ['{? [a] : b}\n', /not valid YAML/],
    ['upstreams: []\n', /^modferry.yaml:1:12: upstreams: an empty list names none; /],
    ['upstreams: [null]\n', /an empty entry is neither text nor a mapping/],
    ['data: ""\n', /^modferry.yaml:1:7: data: "" is empty; write the path of a folder$/],
    ['timeouts: { connect: 0s }\n', /"0s" is too short; write 1ms or more$/],
    ['timeouts: { connect: 2d }\n', /"2d" is too long; write 1d or less$/],
    ['ingest: { tail: .nan }\n', /NaN is not a size/],
  ])('of %j are told with their place', async (yaml, expected) => {
    const [first] = await textsOf(load(yaml));

    expect(first).toMatch(expected);
  });

  it('tells a missing and an oversized file as faults', async () => {
    const missing = await textsOf(loadConfig({ file: 'none.yaml', env: {}, readFile: reader({}) }));
    const large = await textsOf(load(`# ${'x'.repeat(1024 ** 2)}`));

    expect(missing).toEqual(['none.yaml: there is no such file; name a YAML file of at most 1 MiB']);
    expect(large).toEqual(['modferry.yaml: the file is larger than 1 MiB; name a YAML file of at most 1 MiB']);
  });

  it('stops alias bombs, endless aliases and deep nesting with one fault', async () => {
    const bomb = ['a0: &a0 [x, x]', ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)];
    const deep = `data: ${'['.repeat(60)}${']'.repeat(60)}`;
    const abyss = `data: ${'['.repeat(200_000)}`;

    expect((await textsOf(load(bomb.join('\n')))).some((text) => text.includes('aliases'))).toBe(true);
    expect((await textsOf(load('private: &a [*a, *a]'))).some((text) => /aliases|nested/.test(text))).toBe(true);
    expect((await textsOf(load(deep)))[0]).toContain('nested deeper than 50 levels');
    expect((await textsOf(load(abyss))).length).toBeGreaterThan(0);
  });

  it('keeps __proto__ and its kin away from objects', async () => {
    const texts = await textsOf(load('__proto__: { polluted: 1 }\nconstructor: 2\ningest: { __proto__: { hold: 9s } }'));

    expect(texts.map((text) => text.replace(/;.*/, ''))).toEqual([
      'modferry.yaml:1:1: __proto__: "__proto__" is not a key',
      'modferry.yaml:2:1: constructor: "constructor" is not a key of modferry.yaml',
      'modferry.yaml:3:11: ingest.__proto__: "__proto__" is not a key',
    ]);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('allows a few aliases', async () => {
    const { config } = await load('memory: { hot_small: &size 32MiB, hot_zip: *size }');

    expect(config.memory.hotZipBytes).toBe(32 * 1024 ** 2);
  });

  it('are all that can come of any text', async () => {
    const anyYaml = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(fc.constantFrom('listen', ': ', '- ', '{', '}', '[', ']', '&a ', '*a', '\n', '  ', "'", '1s', '!x ')).map(
        (parts) => parts.join(''),
      ),
    );
    await fc.assert(
      fc.asyncProperty(anyYaml, async (yaml) => {
        await load(yaml).catch((error: unknown) => {
          expect(error).toBeInstanceOf(ConfigError);
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe('secrets', () => {
  const yaml = `upstreams:
  - { url: https://a.example, token: env:TOKEN }
  - { url: https://b.example, username: me, password: file:/run/pw }
  - { url: 'https://u%40x:p%2Fw@c.example/' }
`;

  it('are resolved from variables, files and URLs', async () => {
    const { config } = await load(yaml, { env: { TOKEN: 'tok-1' }, files: { '/run/pw': 'pass-2\n' } });

    const servers = (config.upstreams ?? []).filter((entry) => entry.kind === 'server');
    expect(servers[0]?.token?.reveal()).toBe('tok-1');
    expect(servers[1]?.password?.reveal()).toBe('pass-2');
    expect([servers[2]?.username, servers[2]?.password?.reveal(), servers[2]?.url]).toEqual([
      'u@x',
      'p/w',
      'https://c.example',
    ]);
  });

  it('that cannot be resolved are faults', async () => {
    const texts = await textsOf(load(yaml));

    expect(texts).toEqual([
      'modferry.yaml:2:38: upstreams[0].token: the environment variable "TOKEN" is not set; set it for the modferry process, or name another one, e.g. env:UPSTREAM_TOKEN',
      'modferry.yaml:3:53: upstreams[1].password: the secret file "/run/pw" cannot be read (ENOENT); name a file of at most 64 KiB that the modferry process may read',
    ]);
  });

  it('appear in no fault, whatever is wrong with them', async () => {
    const secret = 'hunter2';
    const wrong = `upstreams:
  - htp://me:${secret}@a.example
  - https://me:${secret},x@a.example,ftp://b
  - { url: 'htp://me:${secret}@b.example' }
  - { url: 'https://b.example/?key=${secret}' }
  - { url: https://c.example, token: [${secret}] }
  - { url: https://c.example, proxy: 'ftp://me:${secret}@p' }
  - [${secret}]
network: { http_proxy: 'me:${secret}@:x' }
`;
    const texts = await textsOf(
      load(wrong, { env: { MODFERRY_NETWORK_HTTPS_PROXY: `socks://u:${secret}@h` } }),
    );

    expect(texts.length).toBeGreaterThanOrEqual(8);
    expect(texts.join('\n')).not.toContain(secret);
  });
});
