import { describe, expect, it, onTestFinished } from 'vitest';
import { load } from '../config/load-kit.ts';
import type { ServerEntry } from '../config/snapshot.ts';
import { Secret } from '../lib/secret.ts';
import { OutboundRules } from './outbound-rules.ts';

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
});
