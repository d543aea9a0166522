/**
 * The functions of PAC that would ask the name service: here they look nothing up. Literal addresses work; names
 * resolve to nothing; the machine's address is the one given.
 */
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface PacHelpers {
  readonly dnsResolve: (host: unknown) => string | null;
  readonly isResolvable: (host: unknown) => boolean;
  readonly isInNet: (host: unknown, pattern: unknown, mask: unknown) => boolean;
  readonly myIpAddress: () => string;
  readonly alert: () => undefined;
}

/** `ownAddress` is what `myIpAddress` says. */
export function pacHelpers(ownAddress: string): PacHelpers {
  return {
    dnsResolve: (host) => (isIPv4(String(host)) ? String(host) : null),
    isResolvable: (host) => isIPv4(String(host)),
    isInNet: (host, pattern, mask) => {
      const [address, net, bits] = [host, pattern, mask].map(numberOf);
      if (address === undefined || net === undefined || bits === undefined) return false;
      return (address & bits) === (net & bits);
    },
    myIpAddress: () => ownAddress,
    alert: () => undefined,
  };
}

/** The first address of this machine that others can see: IPv4 before IPv6, loopback when there is none. */
export function firstOwnAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outer = all.filter(({ internal }) => !internal);
  const found = outer.find(({ family }) => family === 'IPv4') ?? outer[0];
  return found?.address ?? '127.0.0.1';
}

function numberOf(text: unknown): number | undefined {
  if (!isIPv4(String(text))) return undefined;
  return String(text)
    .split('.')
    .reduce((sum, part) => (sum << 8) | Number(part), 0);
}
