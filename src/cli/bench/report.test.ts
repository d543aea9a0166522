import { describe, expect, it } from 'vitest';
import type { Sample } from './bench-types.ts';
import { rankMirrors } from './ranking.ts';
import { recommend } from './recommendation.ts';
import { reportJson } from './report-json.ts';
import { msText, reportText } from './report-text.ts';
import { failed, mirror, sample, zip } from './test-samples.ts';

function inputOf(samples: readonly Sample[], ...names: readonly string[]) {
  const ranking = rankMirrors(names.map(mirror), [], samples);
  return { ranking, recommended: recommend(ranking.mirrors) };
}

const samples = [
  sample('quick.example', { dnsMs: 1.26, connectMs: 12.4, tlsMs: 25, isReused: false }),
  sample('quick.example', { firstByteMs: 9.04, totalMs: 9.5, round: 2 }),
  zip('quick.example', 'h1:A', { sizeBytes: 5_000_000, totalMs: 1000, isReused: false }),
  zip('third.example', 'h1:A'),
  zip('liar.example', 'h1:X'),
  failed('dead.example', 'status', { status: 503 }),
  failed('dead.example', 'status', { status: 503 }),
  failed('dead.example', 'dns'),
];

describe('the table', () => {
  const text = reportText({
    ...inputOf(samples, 'dead.example', 'liar.example', 'quick.example', 'third.example'),
    ownUrl: 'http://localhost:8080',
  });
  const lineOf = (name: string) => text.split('\n').find((line) => line.includes(name)) ?? '';

  it('has a line for each mirror: rank, stars, good of asked, steps, first byte, speed, errors by kind', () => {
    expect(lineOf('quick.example').split(/\s{2,}/)).toEqual([
      '1.',
      'quick.example',
      '★★★★★',
      '3/3',
      '1.3 ms',
      '12 ms',
      '25 ms',
      '9.0 ms',
      '50 ms',
      '5.00 MB/s',
      '60 ms',
    ]);
    expect(lineOf('dead.example')).toMatch(/☆☆☆☆☆ +0\/3 .*status 503 ×2, dns$/);
    expect(text.indexOf('liar.example')).toBeGreaterThan(text.indexOf('dead.example'));
    expect(lineOf('liar.example')).toMatch(/^4\..*☆☆☆☆☆.*WRONG BYTES$/);
  });

  it('tells new and kept connections apart by kind', () => {
    const row = text.split('\n').find((line) => /^quick\.example +info/.test(line)) ?? '';
    expect(row.split(/\s{2,}/).slice(2, 5)).toEqual(['2/2', '50 ms', '9.0 ms']);
  });

  it('says what is wrong with bytes and requests, in whole sentences', () => {
    expect(text).toContain('liar.example: example.com/a@v1.0.0.zip is h1:X, right is h1:A');
    expect(text).toContain('dead.example: it was status (2 requests)');
  });

  it('ends with what to write down, for go and for modferry', () => {
    expect(text).toContain("go env -w 'GOPROXY=https://quick.example|https://third.example,direct'");
    expect(text).toContain('GOPROXY=http://localhost:8080');
    expect(text).toMatch(/upstreams:\n {4}- url: "https:\/\/quick\.example"\n {4}- url: .*third/);
  });

  it('advises a third mirror where two disagree, and recommends nothing', () => {
    const undecided = reportText({
      ...inputOf([zip('a', 'h1:A'), zip('b', 'h1:B')], 'a', 'b'),
      ownUrl: undefined,
    });
    expect(undecided).toContain('BYTES DIFFER');
    expect(undecided).toContain('measure together with one more mirror');
    expect(undecided).not.toContain('GOPROXY');
  });

  it('writes times as people read them', () => {
    expect([null, 0, 3.06, 9.99, 12.6, 9999, 12_345].map(msText)).toEqual([
      '-',
      '0.0 ms',
      '3.1 ms',
      '10.0 ms',
      '13 ms',
      '9999 ms',
      '12.3 s',
    ]);
  });
});

describe('the JSON document', () => {
  it('has plain numbers in milliseconds and bytes', () => {
    const document = reportJson({
      ...inputOf(samples, 'quick.example', 'liar.example', 'third.example'),
      samples: samples.slice(0, 3),
      isComplete: true,
    });
    const read = JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
    expect(Object.keys(read)).toEqual(['complete', 'mirrors', 'disputes', 'samples', 'recommended']);
    expect(read).toMatchObject({
      complete: true,
      mirrors: [
        {
          rank: 1,
          name: 'quick.example',
          url: 'https://quick.example',
          stars: 5,
          usable: true,
          bytes: 'right',
        },
        { rank: 2, name: 'third.example', byKind: { zip: { asked: 1, ok: 1, sizeBytes: 1000 } } },
        { rank: 3, name: 'liar.example', stars: 0, usable: false, bytes: 'wrong' },
      ],
      recommended: { goproxy: 'https://quick.example|https://third.example,direct' },
    });
    expect((read['samples'] as unknown[])[0]).toEqual({
      mirror: 'quick.example',
      module: 'example.com/a',
      version: 'v1.0.0',
      kind: 'info',
      round: 1,
      dnsMs: 1.26,
      connectMs: 12.4,
      proxyMs: null,
      tlsMs: 25,
      redirectMs: null,
      firstByteMs: 50,
      totalMs: 60,
      status: 200,
      redirects: 0,
      remoteAddress: '127.0.0.1:1',
      sizeBytes: 100,
      bytesPerSecond: 1667,
      identity: null,
      fault: null,
      reused: false,
      proxied: false,
    });
  });
});
