import { describe, expect, it } from 'vitest';
import {
  type DecideInput,
  decideUpstreams,
  fallbackMirrors,
  parseSaved,
  type SavedUpstreams,
  toSaved,
} from './decide-upstreams.ts';

const own = [{ host: '127.0.0.1', port: 8080, pathPrefix: '' }];
const lastGood: SavedUpstreams = {
  entries: [{ url: 'https://kept.example', separatorAfter: ',', stopsOnError: true }],
  end: 'direct',
};

function go(goproxy: string, changed: Record<string, string> | undefined, more: Record<string, string> = {}) {
  return { values: { GOPROXY: goproxy, ...more }, changed };
}

function decide(input: Partial<DecideInput>) {
  return decideUpstreams({ env: {}, goEnv: undefined, ownAddresses: own, lastGood: undefined, ...input });
}

function urls(input: Partial<DecideInput>): string[] {
  return decide(input).entries.map((entry) => entry.url);
}

describe('decideUpstreams', () => {
  it('takes the environment before what go env says', () => {
    const decision = decide({
      env: { GOPROXY: 'https://env.example,direct' },
      goEnv: go('https://file.example', { GOPROXY: 'https://file.example' }),
    });
    expect(decision).toMatchObject({ origin: 'environment', end: 'direct', warnings: [] });
    expect(decision.entries.map((entry) => entry.url)).toEqual(['https://env.example']);
  });

  it('takes a value that somebody set in go env as it is', () => {
    const goEnv = go('https://file.example,direct', { GOPROXY: 'https://file.example,direct' });
    expect(decide({ goEnv })).toMatchObject({ origin: 'go env', end: 'direct' });
    expect(urls({ goEnv })).toEqual(['https://file.example']);
  });

  it("puts the fallback mirrors behind Go's built-in default and before direct", () => {
    const decision = decide({ goEnv: go('https://builtin.example,direct', {}) });
    expect(decision.entries.map((entry) => entry.url)).toEqual([
      'https://builtin.example',
      ...fallbackMirrors,
    ]);
    expect(decision).toMatchObject({ origin: 'go default', end: 'direct' });
  });

  it('adds nobody to the list of an old Go that cannot say what was set', () => {
    expect(urls({ goEnv: go('https://maybe.example,direct', undefined) })).toEqual(['https://maybe.example']);
  });

  it('uses the fallback mirrors where there is no Go and no setting', () => {
    expect(urls({})).toEqual([...fallbackMirrors]);
    expect(decide({}).origin).toBe('fallback');
  });

  it.each([
    'http://localhost:8080',
    'http://127.0.0.1:8080/',
    'http://[::1]:8080',
    'http://box.lan:8080,direct',
    'http://BOX.lan.:8080,off',
    'http://user:pw@localhost:8080',
  ])('drops %s as itself, says so, and goes back to the last good list', (goproxy) => {
    const decision = decide({ env: { GOPROXY: goproxy }, machineNames: ['box.lan'], lastGood });
    expect(decision.origin).toBe('last good');
    expect(decision.entries).toEqual([
      { url: 'https://kept.example', separatorAfter: ',', stopsOnError: true },
    ]);
    expect(decision.warnings.join(' ')).toMatch(/this very server/);
    expect(decision.warnings.join(' ')).not.toContain('pw');
  });

  it('goes back to the mirrors when only itself is named and nothing worked before', () => {
    const decision = decide({ goEnv: go('http://localhost:8080', { GOPROXY: 'http://localhost:8080' }) });
    expect(decision).toMatchObject({ origin: 'fallback' });
    expect(decision.entries.map((entry) => entry.url)).toEqual([...fallbackMirrors]);
  });

  it('keeps the others when it drops itself', () => {
    expect(urls({ env: { GOPROXY: 'http://localhost:8080|https://a.example,direct' }, lastGood })).toEqual([
      'https://a.example',
    ]);
  });

  it('does not take another port, or another path beside its prefix, for itself', () => {
    const prefixed = [{ host: '0.0.0.0', port: 8080, pathPrefix: '/goproxy' }];
    const value = 'http://localhost:8081,http://localhost:8080/other,http://localhost:8080/goproxy';
    expect(urls({ env: { GOPROXY: value }, ownAddresses: prefixed })).toEqual([
      'http://localhost:8081',
      'http://localhost:8080/other',
    ]);
  });

  it('knows itself by the default port of the scheme', () => {
    const ownAddresses = [{ host: '127.0.0.1', port: 80, pathPrefix: '' }];
    expect(decide({ env: { GOPROXY: 'http://localhost' }, ownAddresses }).origin).toBe('fallback');
  });

  it('drops itself from the last good list too', () => {
    const damaged: SavedUpstreams = {
      entries: [{ url: 'http://localhost:8080', stopsOnError: false }],
      end: 'none',
    };
    expect(decide({ lastGood: damaged }).origin).toBe('fallback');
  });

  it.each(['off', 'direct'])('asks no public mirror when the setting is %s', (value) => {
    const decision = decide({ env: { GOPROXY: value }, lastGood });
    expect(decision).toMatchObject({ entries: [], end: value, origin: 'environment' });
    expect(decision.warnings.join(' ')).toContain('--upstream');
  });

  it('drops a single bad entry with a warning that shows no credentials', () => {
    const decision = decide({
      env: { GOPROXY: 'file:///srv|ftp://u:hunter2@x.example,https://a.example,direct' },
    });
    expect(decision.entries.map((entry) => entry.url)).toEqual(['https://a.example']);
    expect(decision.warnings).toHaveLength(1);
    expect(decision.warnings.join(' ')).not.toContain('hunter2');
  });

  it("keeps Go's comma for a server that .netrc has credentials for", () => {
    const decision = decide({
      env: { GOPROXY: 'https://corp.example,https://public.example,direct' },
      hasCredentials: (hostname) => hostname === 'corp.example',
    });
    expect(decision.entries.map((entry) => entry.stopsOnError)).toEqual([true, false]);
  });

  it('joins the private patterns without repeats and without the word none', () => {
    const goEnv = go(
      '',
      {},
      { GOPRIVATE: 'corp.example,*.lan', GONOPROXY: 'none, corp.example', GONOSUMDB: '' },
    );
    const decision = decide({ goEnv });
    expect(decision.privatePatterns).toEqual(['corp.example', '*.lan']);
    expect(decision.noSumdbPatterns).toEqual(['corp.example', '*.lan']);
  });

  it('reads private patterns from the environment where there is no Go', () => {
    expect(decide({ env: { GOPRIVATE: 'corp.example' } }).privatePatterns).toEqual(['corp.example']);
  });

  it.each([
    { env: { GOSUMDB: 'off' }, fromGo: 'sum.golang.org', expected: 'off' },
    { env: {}, fromGo: 'off', expected: undefined },
    { env: {}, fromGo: 'sum.golang.org', expected: 'sum.golang.org' },
    { env: { GOSUMDB: 'own.example+1+k' }, fromGo: 'off', expected: 'own.example+1+k' },
  ])('inherits GOSUMDB=off only from its own environment: $env and $fromGo', ({ env, fromGo, expected }) => {
    expect(decide({ env, goEnv: go('', {}, { GOSUMDB: fromGo }) }).sumdb).toBe(expected);
  });
});

describe('the saved list', () => {
  it('comes back as it was saved, without credentials', () => {
    const decision = decide({ env: { GOPROXY: 'https://u:hunter2@corp.example,https://b.example,direct' } });
    const text = JSON.stringify(toSaved(decision));
    expect(text).not.toContain('hunter2');
    expect(parseSaved(JSON.parse(text))).toEqual({
      entries: [
        { url: 'https://corp.example', separatorAfter: ',', stopsOnError: true },
        { url: 'https://b.example', separatorAfter: ',', stopsOnError: false },
      ],
      end: 'direct',
    });
  });

  it.each([
    null,
    1,
    {},
    { entries: [], end: 'x' },
    { entries: [{ url: 'nope', stopsOnError: true }], end: 'off' },
  ])('is nothing when the file holds %j', (value) => {
    expect(parseSaved(value)).toBeUndefined();
  });
});
