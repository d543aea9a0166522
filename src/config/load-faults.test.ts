import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from './fault.ts';
import { loadConfig } from './load.ts';
import { load, reader, textsOf } from './load-kit.ts';

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

  it('tell half a client certificate and proxies that are none', async () => {
    const texts = await textsOf(
      load(`upstreams:
  - { url: https://a.example, client_cert: a.pem }
  - { url: https://b.example, client_key: b.key }
  - { url: https://c.example, proxy: pac }
  - { url: https://d.example, proxy: 'socks4://u:hunter2@10.0.0.1:1' }
network: { http_proxy: 'ftp://p', pac: 'ftp://p/x' }
`),
    );

    expect(texts).toEqual([
      'modferry.yaml:2:44: upstreams[0].client_cert: client_cert stands without client_key; set client_key too',
      'modferry.yaml:3:43: upstreams[1].client_key: client_key stands without client_cert; set client_cert too',
      'modferry.yaml:4:38: upstreams[2].proxy: pac stands without network.pac; set network.pac, or write pac:FILE_OR_URL',
      'modferry.yaml:5:38: upstreams[3].proxy: "socks4://***@10.0.0.1:1" is not the address of an http, https or socks5 proxy; write direct, env, pac:FILE, or e.g. http://10.0.0.1:3128 or socks5://10.0.0.1:1080',
      'modferry.yaml:6:24: network.http_proxy: "ftp://p" is not the address of an http, https or socks5 proxy; write e.g. http://10.0.0.1:3128',
      'modferry.yaml:6:40: network.pac: "ftp://p/x" is neither a path nor an http(s) URL of a PAC script; write the path of a PAC file, or its http(s) URL',
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
    expect(large).toEqual([
      'modferry.yaml: the file is larger than 1 MiB; name a YAML file of at most 1 MiB',
    ]);
  });

  it('stops alias bombs, endless aliases and deep nesting with one fault', async () => {
    const bomb = [
      'a0: &a0 [x, x]',
      ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`),
    ];
    const deep = `data: ${'['.repeat(60)}${']'.repeat(60)}`;
    const abyss = `data: ${'['.repeat(200_000)}`;

    const faults = await Promise.all(
      [bomb.join('\n'), 'private: &a [*a, *a]', deep, abyss].map((yaml) => textsOf(load(yaml))),
    );

    expect(faults.map((texts) => texts.length)).toEqual([1, 1, 1, 1]);
    expect(faults.map(([text]) => /more than \d+ aliases|nested deeper/.exec(text ?? '')?.[0])).toEqual([
      'more than 100 aliases',
      'nested deeper',
      'nested deeper',
      'nested deeper',
    ]);
  });

  it('keeps __proto__ and its kin away from objects', async () => {
    const texts = await textsOf(
      load('__proto__: { polluted: 1 }\nconstructor: 2\ningest: { __proto__: { hold: 9s } }'),
    );

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
      fc
        .array(
          fc.constantFrom(
            'listen',
            ': ',
            '- ',
            '{',
            '}',
            '[',
            ']',
            '&a ',
            '*a',
            '\n',
            '  ',
            "'",
            '1s',
            '!x ',
          ),
        )
        .map((parts) => parts.join('')),
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
      'modferry.yaml:3:55: upstreams[1].password: the secret file "/run/pw" cannot be read (ENOENT); name a file of at most 64 KiB that the modferry process may read',
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
