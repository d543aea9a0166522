/**
 * What kind of place a literal address is, in whatever notation it is written: decimal, octal, hex, IPv4 inside IPv6.
 * Nothing is looked up here.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
import { BlockList, isIP } from 'node:net';
import { bareHost } from '../../outbound/network-address.ts';

/**
 * `public`: anywhere outside. `private`: RFC 1918, unique local (RFC 4193) and shared space (RFC 6598). `metadata`: the
 * service by which a cloud hands credentials to its machines. `reserved`: nothing that a server could have.
 */
export type AddressKind =
  | 'public'
  | 'private'
  | 'loopback'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'unspecified'
  | 'reserved';

type Range = readonly [address: string, bits: number];

const ranges: readonly (readonly [AddressKind, readonly Range[]])[] = [
  // First: some of them lie in ranges that are otherwise private, link-local or public.
  [
    'metadata',
    [
      ['169.254.169.254', 32],
      ['169.254.170.2', 32],
      ['169.254.170.23', 32],
      ['169.254.0.23', 32],
      ['100.100.100.200', 32],
      ['168.63.129.16', 32],
      ['192.0.0.192', 32],
      ['fd00:ec2::254', 128],
      ['fd00:ec2::23', 128],
      ['fd20:ce::254', 128],
      ['fe80::a9fe:a9fe', 128],
    ],
  ],
  [
    'unspecified',
    [
      ['0.0.0.0', 8],
      ['::', 128],
    ],
  ],
  [
    'loopback',
    [
      ['127.0.0.0', 8],
      ['::1', 128],
    ],
  ],
  [
    'link-local',
    [
      ['169.254.0.0', 16],
      ['fe80::', 10],
    ],
  ],
  [
    'private',
    [
      ['10.0.0.0', 8],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
      ['100.64.0.0', 10],
      ['fc00::', 7],
      ['fec0::', 10],
    ],
  ],
  [
    'multicast',
    [
      ['224.0.0.0', 4],
      ['ff00::', 8],
    ],
  ],
  [
    'reserved',
    [
      ['192.0.0.0', 24],
      ['192.0.2.0', 24],
      ['198.18.0.0', 15],
      ['198.51.100.0', 24],
      ['203.0.113.0', 24],
      ['240.0.0.0', 4],
      // Tunnels and translations whose inner address we cannot read, discard and documentation prefixes.
      ['64:ff9b:1::', 48],
      ['100::', 64],
      ['2001::', 32],
      ['2001:2::', 48],
      ['2001:db8::', 32],
      ['3fff::', 20],
      ['5f00::', 16],
    ],
  ],
];

const lists = ranges.map(([kind, members]) => ({ kind, list: blockList(members) }));

/** Undefined for what is no literal address, i.e. a name. `host` as in a URL: brackets are fine. */
export function addressKind(host: string): AddressKind | undefined {
  const address = literalAddress(host);
  return address === undefined ? undefined : kindOf(address);
}

/**
 * The address that a host in any notation stands for, IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) taken out;
 * undefined for a name. What the C library takes for an address (`0x7f.1`, `2130706433`) is one.
 */
export function literalAddress(host: string): string | undefined {
  const bare = bareHost(host);
  const family = isIP(bare);
  if (family === 4) return bare;
  if (family === 6) return innerAddress(bare) ?? bare;
  // The URL parser of WHATWG reads numbers as the C library does.
  if (!/^[0-9a-fx.]+$/i.test(bare) || !URL.canParse(`http://${bare}/`)) return undefined;
  const read = bareHost(new URL(`http://${bare}/`).hostname);
  return isIP(read) === 4 ? read : undefined;
}

function kindOf(address: string): AddressKind {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return lists.find(({ list }) => list.check(address, family))?.kind ?? 'public';
}

/** The IPv4 address that an IPv6 one only wraps. */
function innerAddress(address: string): string | undefined {
  const groups = groupsOf(address);
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups;
  const dotted = (high: number, low: number): string =>
    [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  if (g0 === 0x2002) return dotted(g1, g2);
  if (g0 === 0x64 && g1 === 0xff9b && (g2 | g3 | g4 | g5) === 0) return dotted(g6, g7);
  if ((g0 | g1 | g2 | g3) !== 0) return undefined;
  // ::ffff:a.b.c.d, and ::ffff:0:a.b.c.d (RFC 2765).
  if ((g4 === 0 && g5 === 0xffff) || (g4 === 0xffff && g5 === 0)) return dotted(g6, g7);
  // ::a.b.c.d is long gone, but some systems still take it; :: and ::1 are themselves.
  return (g4 | g5) === 0 && (g6 !== 0 || g7 > 1) ? dotted(g6, g7) : undefined;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes it in its one short form, without a dotted part.
  const text = bareHost(new URL(`http://[${address}]/`).hostname);
  const [head = '', tail] = text.split('::');
  const left = hexGroups(head);
  if (tail === undefined) return left;
  const right = hexGroups(tail);
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
}

function hexGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function blockList(members: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [address, bits] of members) {
    list.addSubnet(address, bits, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** A list of addresses and CIDR ranges. */
export interface AddressList {
  /** `address` as `literalAddress` gives it. */
  has(address: string): boolean;
  /** True only where this very address stands in the list, not a range around it. */
  names(address: string): boolean;
}

/** What cannot be read matches nothing; `addressListFault` tells. */
export function addressList(entries: readonly string[]): AddressList {
  const list = new BlockList();
  const single = new Set<string>();
  for (const entry of entries) {
    const range = readRange(entry);
    if (range === undefined) continue;
    const [address, bits] = range;
    const family = isIP(address);
    list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
    if (bits === (family === 6 ? 128 : 32)) single.add(spelled(address));
  }
  return {
    has: (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'),
    names: (address) => single.has(spelled(address)),
  };
}

/** Why an entry is none, as a sentence; undefined for a good one. */
export function addressListFault(entry: string): string | undefined {
  return readRange(entry) === undefined
    ? `${JSON.stringify(entry)} is no address or range; write 10.1.2.3, 10.0.0.0/8 or fd00::/8.`
    : undefined;
}

function readRange(entry: string): Range | undefined {
  const [, address = '', bitsText] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(entry.trim()) ?? [];
  const family = isIP(address);
  if (family === 0) return undefined;
  const most = family === 6 ? 128 : 32;
  const bits = bitsText === undefined ? most : Number(bitsText);
  return bits <= most ? [address, bits] : undefined;
}

function spelled(address: string): string {
  return isIP(address) === 6 ? groupsOf(address).join(':') : address;
}
