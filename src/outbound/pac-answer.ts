/** What `FindProxyForURL` answers: `PROXY a:1; SOCKS5 b:2; HTTPS c:3; DIRECT`, the ways to try in this order. */
import { ModferryError } from '../lib/errors.ts';
import { type OutboundProxy, parseProxy } from './proxy-address.ts';
import type { ProxyChoice, ProxyHop } from './proxy-rule.ts';

/** A PAC script cannot be read, run or understood. The text names the script. */
export class PacError extends ModferryError<'pac'> {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('pac', message, options);
  }
}

/** Further entries of an answer are left out. */
const maxHops = 16;

/** As browsers do, `SOCKS` without a number is taken as version 5. */
const schemes = new Map([
  ['PROXY', 'http'],
  ['HTTP', 'http'],
  ['HTTPS', 'https'],
  ['SOCKS', 'socks5'],
  ['SOCKS5', 'socks5'],
]);

/**
 * Nothing (an empty answer, null) means DIRECT. Entries of a kind we do not speak are left out; `shown` names the
 * script in the PacError that is thrown when nothing else remains.
 */
export function parsePacAnswer(answer: string, shown: string): ProxyChoice {
  const entries = answer
    .split(';')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length === 0) return ['direct'];
  const hops = new Map<string, ProxyHop>();
  for (const entry of entries) {
    const hop = hopOf(entry);
    if (hop === undefined || hops.size === maxHops) continue;
    hops.set(hop === 'direct' ? hop : hop.url.reveal(), hop);
  }
  if (hops.size > 0) return [...hops.values()];
  const text = `the PAC script ${shown} names no proxy that can be used; it must answer PROXY, HTTPS or SOCKS5 with HOST:PORT, or DIRECT`;
  throw new PacError(text);
}

function hopOf(entry: string): ProxyHop | undefined {
  const [kind = '', address, ...more] = entry.split(/\s+/);
  if (kind.toUpperCase() === 'DIRECT') return 'direct';
  const scheme = schemes.get(kind.toUpperCase());
  if (scheme === undefined || address === undefined || more.length > 0) return undefined;
  return proxyOf(`${scheme}://${address}`);
}

function proxyOf(url: string): OutboundProxy | undefined {
  try {
    return parseProxy(url, 'the PAC script');
  } catch {
    return undefined;
  }
}
