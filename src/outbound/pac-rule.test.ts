import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { PacScripts } from './pac-rule.ts';
import type { ProxyChoice, ProxyRule } from './proxy-rule.ts';

let dir: TempDir;
const open: PacScripts[] = [];
beforeAll(async () => {
  dir = await tempDir('pac-rule');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((scripts) => scripts.close()));
});
afterAll(() => dir.remove());

let files = 0;
async function scriptsFor(
  script: string,
): Promise<{ rule: ProxyRule; clock: FakeClock; file: string; scripts: PacScripts }> {
  files += 1;
  const file = join(dir.path, `${files}.pac`);
  await writeFile(file, script);
  const clock = new FakeClock();
  const scripts = new PacScripts({ clock, caFile: undefined });
  open.push(scripts);
  return { rule: scripts.rule(file), clock, file, scripts };
}

function shown(choice: ProxyChoice): string {
  return choice.map((hop) => (hop === 'direct' ? hop : hop.shown)).join(' ');
}

const counting = 'var n = 0; function FindProxyForURL(url, host) { n++; return "PROXY " + host + ":" + n; }';

describe('PacScripts', () => {
  it('chooses by host, from scheme, host and port alone', async () => {
    const { rule } = await scriptsFor(
      'function FindProxyForURL(url, host) { if (url !== "https://a.example:8443/") return "PROXY wrong:1"; return "SOCKS5 " + host + ":9; DIRECT"; }',
    );
    expect(shown(await rule(new URL('https://u:p@a.example:8443/secret/path?q=1')))).toBe(
      'socks5://a.example:9 direct',
    );
  });

  it('keeps answers for a minute, ready at once', async () => {
    const { rule, clock } = await scriptsFor(counting);
    const target = new URL('https://a.example/x');
    expect(shown(await rule(target))).toBe('http://a.example:1');

    const kept = rule(new URL('https://a.example/y'));
    expect(kept).not.toBeInstanceOf(Promise);
    await clock.advance(60_001);
    const later = rule(target);
    expect(later).toBeInstanceOf(Promise);
    expect(shown(await later)).toBe('http://a.example:2');
  });

  it('asks the script once for many at a time, and apart for each scheme and port', async () => {
    const { rule } = await scriptsFor(counting);
    const same = await Promise.all(
      Array.from({ length: 20 }, () => Promise.resolve(rule(new URL('https://a.example')))),
    );

    expect(new Set(same.map(shown))).toEqual(new Set(['http://a.example:1']));
    expect(shown(await rule(new URL('http://a.example')))).toBe('http://a.example:2');
    expect(shown(await rule(new URL('https://a.example:8443')))).toBe('http://a.example:3');
  });

  it('uses a changed script', async () => {
    const { rule, clock, file } = await scriptsFor(counting);
    const target = new URL('https://a.example');
    await rule(target);
    await writeFile(file, 'function FindProxyForURL() { return "DIRECT"; }');
    await utimes(file, 1, 1);

    await expect
      .poll(async () => {
        await clock.advance(60_001);
        return shown(await rule(target));
      })
      .toBe('direct');
  });

  it('shares one script between upstreams', async () => {
    const { rule, file, scripts } = await scriptsFor(counting);
    await rule(new URL('https://a.example'));

    expect(shown(await scripts.rule(file)(new URL('https://b.example')))).toBe('http://b.example:2');
  });

  it('keeps a failure for some seconds only', async () => {
    const { rule, clock } = await scriptsFor('function FindProxyForURL() { return 5; }');
    const attempt = async (): Promise<unknown> => {
      try {
        return await rule(new URL('https://a.example'));
      } catch (error) {
        return error;
      }
    };
    const first = await attempt();
    expect(first).toMatchObject({ code: 'pac' });
    expect(await attempt()).toBe(first);
    await clock.advance(10_001);
    expect(await attempt()).not.toBe(first);
  });

  it('reads nothing before it is asked', () => {
    const scripts = new PacScripts({ clock: new FakeClock(), caFile: undefined });
    expect(() => scripts.rule('/no/such/file.pac')).not.toThrow();
  });
});
