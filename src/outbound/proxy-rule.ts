/**
 * Which outbound proxy a request goes through: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` by Go's rules, or one fixed
 * for an upstream. It decides; connections are made in `dispatchers.ts`. The rule of a PAC script is in `pac-rule.ts`.
 */
import { BlockList, isIP } from 'node:net';
import { bareHost, isLoopbackHost } from './network-address.ts';
import { type OutboundProxy, parseProxy } from './proxy-address.ts';

/** One way to go: straight, or through a proxy. */
export type ProxyHop = 'direct' | OutboundProxy;

/** Ways to try in this order, at least one. */
export type ProxyChoice = readonly ProxyHop[];

/** The ways to one target. A promise only where something must be read or evaluated first. */
export type ProxyRule = (target: URL) => ProxyChoice | Promise<ProxyChoice>;

const straight: ProxyChoice = ['direct'];

/** Goes straight, always. */
export const directRule: ProxyRule = () => straight;

/** Always this way. Throws OutboundProxyError for a bad address; `address` may hold a password and is never shown. */
export function fixedProxyRule(address: string): ProxyRule {
  const choice: ProxyChoice = [parseProxy(address, 'proxy')];
  return () => choice;
}

/**
 * By `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as Go reads them; never for this machine itself. Throws
 * OutboundProxyError for a bad address.
 */
export function envProxyRule(env: Readonly<Record<string, string | undefined>>): ProxyRule {
  const forHttp = fromEnv(env, 'HTTP_PROXY');
  const forHttps = fromEnv(env, 'HTTPS_PROXY');
  const bypass = parseNoProxy(valueOf(env, 'NO_PROXY') ?? '');
  return (target) => {
    const choice = target.protocol === 'https:' ? forHttps : forHttp;
    if (choice === straight || isLoopbackHost(target.hostname) || bypass(target)) return straight;
    return choice;
  };
}

/** As the rule says, but straight to this machine itself. */
export function exceptLoopback(rule: ProxyRule): ProxyRule {
  return (target) => (isLoopbackHost(target.hostname) ? straight : rule(target));
}

/** Upper case goes before lower case, as in Go. */
function valueOf(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return [env[name], env[name.toLowerCase()]].map((value) => value?.trim()).find((value) => value);
}

function fromEnv(env: Readonly<Record<string, string | undefined>>, name: string): ProxyChoice {
  const value = valueOf(env, name);
  return value === undefined ? straight : [parseProxy(value, name)];
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
