import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { load } from '../config/load-kit.ts';
import type { ServerEntry } from '../config/snapshot.ts';
import { Secret } from '../lib/secret.ts';
import { OutboundRules } from './outbound-rules.ts';
import { watchThreads } from './test-threads.ts';

/** What the rule says of a target: the first way, or the code of its error. */
async function firstWay(
  network: string,
  setting: ServerEntry['proxy'],
  target: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { config } = await load(`network: ${network}\n`);
  const rules = new OutboundRules(config, env);
  onTestFinished(() => rules.close());
  try {
    const [hop] = await rules.ruleFor(setting)(new URL(target));
    return hop === undefined || hop === 'direct' ? 'direct' : hop.shown;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

const outside = 'https://a.example';
const noScript = '{ pac: /no/such.pac }';

describe('OutboundRules', () => {
  it.each<[string, ServerEntry['proxy'], string, string]>([
    ['{}', 'env', outside, 'http://env.lan:1'],
    ['{}', 'direct', outside, 'direct'],
    ['{ https_proxy: "socks5://own.lan:2" }', 'env', outside, 'socks5://own.lan:2'],
    ['{ no_proxy: a.example }', 'env', outside, 'direct'],
    ['{}', new Secret('https://fixed.lan:3'), 'http://127.0.0.1:4', 'https://fixed.lan:3'],
    // The script is asked, and cannot be read.
    [noScript, 'env', outside, 'pac'],
    [noScript, 'env', 'http://127.0.0.1:4', 'direct'],
    [noScript, 'pac', 'http://127.0.0.1:4', 'pac'],
    ['{}', new Secret('pac:/no/such.pac'), outside, 'pac'],
  ])('network %s, proxy %s: %s goes by %s', async (network, setting, target, expected) => {
    expect(await firstWay(network, setting, target, { HTTPS_PROXY: 'http://env.lan:1' })).toBe(expected);
  });

  it('keeps no thread for a script once it is retired, and still answers', async () => {
    const dir = await tempDir('outbound-rules');
    onTestFinished(() => dir.remove());
    const pac = join(dir.path, 'proxy.pac');
    await writeFile(pac, 'function FindProxyForURL(url, host) { return "PROXY " + host + ":1"; }');
    const threads = watchThreads();
    const { config } = await load('{}\n');
    const rules = new OutboundRules(config, {});
    onTestFinished(() => rules.close());
    const rule = rules.ruleFor(new Secret(`pac:${pac}`));
    const wayTo = async (host: string): Promise<string> => {
      const [hop] = await rule(new URL(`https://${host}`));
      return hop === undefined || hop === 'direct' ? 'direct' : hop.shown;
    };
    await wayTo('a.example');
    expect(threads.alive).toBe(1);
    const asked = wayTo('b.example');
    await rules.retire();
    expect(await asked).toBe('http://b.example:1');
    await threads.none();

    expect(await wayTo('a.example')).toBe('http://a.example:1');
    expect(await Promise.all([wayTo('c.example'), wayTo('d.example')])).toEqual([
      'http://c.example:1',
      'http://d.example:1',
    ]);
    await threads.none();
  });
});
