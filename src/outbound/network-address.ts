/**
 * What kind of place a host is: loopback, private, or anything else. Only literal addresses and the name
 * `localhost` are judged here; nothing is looked up.
 */
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const privateNets = new BlockList();
privateNets.addSubnet('10.0.0.0', 8, 'ipv4');
privateNets.addSubnet('172.16.0.0', 12, 'ipv4');
privateNets.addSubnet('192.168.0.0', 16, 'ipv4');
privateNets.addSubnet('fc00::', 7, 'ipv6');

/** Not for RFC 1918 questions, but no public server may point us there: link-local, this-host, shared space. */
const innerNets = new BlockList();
innerNets.addSubnet('0.0.0.0', 8, 'ipv4');
innerNets.addSubnet('169.254.0.0', 16, 'ipv4');
innerNets.addSubnet('100.64.0.0', 10, 'ipv4');
innerNets.addAddress('::', 'ipv6');
innerNets.addSubnet('fe80::', 10, 'ipv6');

/** `hostname` as in a URL: brackets around IPv6 are fine. */
export function isLoopbackHost(hostname: string): boolean {
  const host = bareHost(hostname);
  return host === 'localhost' || host.endsWith('.localhost') || within(loopback, host);
}

/** RFC 1918 or unique local (RFC 4193), as a literal address. Loopback is not meant (ruling 2). */
export function isPrivateHost(hostname: string): boolean {
  return within(privateNets, bareHost(hostname));
}

/** Anything that only means something inside this machine or network. Redirects from outside must not lead there. */
export function isInnerHost(hostname: string): boolean {
  const host = bareHost(hostname);
  return isLoopbackHost(host) || isPrivateHost(host) || within(innerNets, host);
}

/** Lower case, without brackets, zone and the trailing dot of a rooted name. */
export function bareHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
    .replace(/\.$/, '');
}

function within(list: BlockList, host: string): boolean {
  const family = isIP(host);
  if (family === 0) return false;
  return list.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** A copy of the URL without userinfo, query and fragment: what may be shown and used as a name. */
export function bareUrl(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.search = '';
  bare.hash = '';
  return bare;
}
