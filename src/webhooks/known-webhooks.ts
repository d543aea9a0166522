/** The webhooks of a configuration, and from where each may be delivered. */
import { BlockList, isIP } from 'node:net';
import { ModferryError } from '../lib/errors.ts';
import type { Secret } from '../lib/secret.ts';
import type { Forge } from './types.ts';

export interface WebhookSettings {
  /** Of the path: `/-/v1/webhooks/NAME`. */
  readonly name: string;
  readonly forge: Forge;
  readonly secret: Secret;
  /** CIDR ranges or addresses that may deliver. Default: all. */
  readonly allow?: readonly string[] | undefined;
}

export interface KnownWebhook extends WebhookSettings {
  readonly allowed: BlockList | undefined;
}

/** By name. Throws ModferryError `bad_range` for an `allow` that is no address or range. */
export function knownOf(webhooks: readonly WebhookSettings[]): ReadonlyMap<string, KnownWebhook> {
  return new Map(webhooks.map((each) => [each.name, { ...each, allowed: rangesOf(each.allow ?? []) }]));
}

function rangesOf(ranges: readonly string[]): BlockList | undefined {
  if (ranges.length === 0) return undefined;
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits, ...rest] = range.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    const isGood = family !== 0 && rest.length === 0 && (bits === undefined || /^\d{1,3}$/.test(bits));
    if (!isGood || prefix > most) {
      throw new ModferryError(
        'bad_range',
        `${JSON.stringify(range)} is no address and no range like 10.0.0.0/8`,
      );
    }
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

export function isWithin(list: BlockList, from: string): boolean {
  const address = from.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
