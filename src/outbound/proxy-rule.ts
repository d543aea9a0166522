/**
 * Which outbound proxy a request goes through: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` by Go's rules, or what
 * the configuration says for one upstream. It decides; the dispatchers are made in `dispatchers.ts`.
 */

import { BlockList, isIP } from 'node:net';
import { ModferryError } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { bareHost, bareUrl, isLoopbackHost } from './network-address.ts';

/** A proxy's address; `url` may hold credentials, `shown` never does. */
export interface OutboundProxy {
  readonly url: Secret;
  readonly shown: string;
}

/** The proxy for one target, or undefined to go straight. */
export type ProxyRule = (target: URL) => OutboundProxy | undefined;

export class OutboundProxyError extends ModferryError<'bad_proxy'> {}

/** Per upstream: `env` (default), `direct`, or the URL of a proxy. Throws OutboundProxyError for a bad address. */
export function proxyRule(
  setting: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ProxyRule {
  if (setting === 'direct') return () => undefined;
  if (setting !== undefined && setting !== 'env') {
    const fixed = parseProxy(setting, 'proxy');
    return () => fixed;
  }
  const forHttp = fromEnv(env, 'HTTP_PROXY');
  const forHttps = fromEnv(env, 'HTTPS_PROXY');
  const bypass = parseNoProxy(valueOf(env, 'NO_PROXY') ?? '');
  return (target) => {
    const proxy = target.protocol === 'https:' ? forHttps : forHttp;
    if (proxy === undefined || isLoopbackHost(target.hostname) || bypass(target)) return undefined;
    return proxy;
  };
}

/** Upper case goes before lower case, as in Go. */
function valueOf(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return [env[name], env[name.toLowerCase()]].map((value) => value?.trim()).find((value) => value);
}

function fromEnv(env: Readonly<Record<string, string | undefined>>, name: string): OutboundProxy | undefined {
  const value = valueOf(env, name);
  return value === undefined ? undefined : parseProxy(value, name);
}

const schemes = new Set(['http:', 'https:', 'socks5:']);

/** `host:port` means http. The value may hold a password and is never shown. */
function parseProxy(value: string, where: string): OutboundProxy {
  let url: URL;
  try {
    url = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    throw new OutboundProxyError('bad_proxy', `${where} is not an address; write e.g. http://127.0.0.1:3128`);
  }
  if (!schemes.has(url.protocol) || url.hostname === '') {
    throw new OutboundProxyError(
      'bad_proxy',
      `${where} must be an http, https or socks5 address with a host`,
    );
  }
  const shown = bareUrl(url).href.replace(/\/$/, '');
  return { url: new Secret(url.href), shown };
}

/**
 * `NO_PROXY`: host names (the name and everything below it), `.name` or `*.name` (only below it), addresses, CIDR
 * ranges, each with an optional `:port`; `*` for all. What cannot be read matches nothing.
 */
export function parseNoProxy(value: string): (target: URL) => boolean {
  const tests = value
    .split(/[,\s]+/)
    .filter((word) => word !== '')
    .map(bypassTest);
  return (target) => {
    const host = bareHost(target.hostname);
    const port = target.port === '' ? (target.protocol === 'https:' ? '443' : '80') : target.port;
    return tests.some((matches) => matches(host, port));
  };
}

type BypassTest = (host: string, port: string) => boolean;

function bypassTest(word: string): BypassTest {
  if (word === '*') return () => true;
  const [, network, bits] = /^([^/]+)\/(\d{1,3})$/.exec(word) ?? [];
  if (network !== undefined) return rangeTest(bareHost(network), Number(bits));
  const split = isIP(word) === 0 ? /^(.*?)(?::(\d{1,5}))?$/.exec(word) : null;
  const name = bareHost(split?.[1] ?? word);
  const wantedPort = split?.[2];
  const fits: (host: string) => boolean = hostTest(name);
  return (host, port) => (wantedPort === undefined || wantedPort === port) && fits(host);
}

function hostTest(name: string): (host: string) => boolean {
  if (isIP(name) !== 0) return (host) => host === name;
  const below = name.replace(/^\*/, '');
  if (below.startsWith('.')) return (host) => host.endsWith(below);
  return (host) => host === below || host.endsWith(`.${below}`);
}

function rangeTest(address: string, bits: number): BypassTest {
  const family = isIP(address);
  if (family === 0 || bits > (family === 4 ? 32 : 128)) return () => false;
  const list = new BlockList();
  list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  return (host) => {
    const hostFamily = isIP(host);
    return hostFamily !== 0 && list.check(host, hostFamily === 4 ? 'ipv4' : 'ipv6');
  };
}
