/**
 * Where a request comes from: the socket's address, or what a trusted proxy says, and whether it is on a list of
 * ranges. Addresses have one spelling here: IPv4 for what is IPv4 in IPv6, and no zone.
 */
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { LRUCache } from 'lru-cache';
import { ModferryError } from '../lib/errors.ts';

/** How lists name whoever comes through a Unix socket. */
export const unixEntry = 'unix';
/** Longer chains of proxies are nobody's; what stands left of them is not read. */
const maxHops = 32;
const maxRemembered = 4096;
/** Up to so many entries, looking is as quick as remembering. */
const shortList = 16;
/** `[` address with zone `]:` port takes less. */
const longestEntry = 80;

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;
const mappedHex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** One spelling of an address; undefined when it is none. '' (a Unix socket) stays ''. */
export function normalAddress(address: string): string | undefined {
  if (address === '' || isIPv4(address)) return address;
  if (address.length > longestEntry || !isIPv6(address)) return undefined;
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  // The one spelling that the system has for it, whatever was written.
  const text = new SocketAddress({ address: bare, family: 'ipv6' }).address.toLowerCase();
  const dotted = mapped.exec(text)?.[1];
  if (dotted !== undefined) return isIPv4(dotted) ? dotted : undefined;
  const [, high, low] = mappedHex.exec(text) ?? [];
  if (high === undefined || low === undefined) return text;
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return `${first >> 8}.${first & 255}.${second >> 8}.${second & 255}`;
}

/**
 * The key under which failures and requests of an address are counted: of IPv6 the network (/64), because whoever has
 * one address of it has all of them. Takes a normal address.
 */
export function countedAddress(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, 4).join(':');
}

/** Why an entry of a list cannot be used, as a sentence; undefined for a good one. */
export function rangeFault(entry: string): string | undefined {
  return entry === unixEntry || parseRange(entry) !== undefined
    ? undefined
    : `"${entry.slice(0, 100)}" is no range of addresses; write e.g. 10.0.0.0/8, fd00::/8 or 192.0.2.7`;
}

interface Range {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parseRange(entry: string): Range | undefined {
  const slash = entry.indexOf('/');
  const written = slash < 0 ? entry : entry.slice(0, slash);
  if (written === '' || written.includes('%')) return undefined;
  const address = normalAddress(written);
  if (address === undefined) return undefined;
  const isV4 = isIPv4(address);
  const most = isV4 ? 32 : 128;
  if (slash < 0) return { address, bits: most, family: isV4 ? 'ipv4' : 'ipv6' };
  const length = entry.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length)) return undefined;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const bits = isV4 && isIPv6(written) ? Number(length) - 96 : Number(length);
  return bits < 0 || bits > most ? undefined : { address, bits, family: isV4 ? 'ipv4' : 'ipv6' };
}

/** A compiled list of ranges. */
export class AddressList {
  readonly isEmpty: boolean;
  readonly #entries: readonly string[];
  readonly #all: BlockList;
  readonly #hasUnix: boolean;
  /** Made when they are needed: thousands of routes have no list, and a table takes its memory at once. */
  #recent: LRUCache<string, boolean> | undefined;
  #recentEntries: LRUCache<string, string> | undefined;
  #single: readonly BlockList[] | undefined;

  /** Throws ModferryError `bad_range`. */
  constructor(entries: readonly string[]) {
    this.isEmpty = entries.length === 0;
    this.#entries = entries;
    this.#all = blockListOf(entries);
    this.#hasUnix = entries.includes(unixEntry);
  }

  /** Takes a normal address. */
  has(address: string): boolean {
    if (this.isEmpty) return false;
    if (address === '') return this.#hasUnix;
    if (this.#entries.length <= shortList) return isBlocked(this.#all, address);
    this.#recent ??= new LRUCache({ max: maxRemembered });
    const known = this.#recent.get(address);
    if (known !== undefined) return known;
    const isOn = isBlocked(this.#all, address);
    this.#recent.set(address, isOn);
    return isOn;
  }

  /** The first entry that an address is in. Slower than `has`: for texts. */
  entryOf(address: string): string | undefined {
    if (!this.has(address)) return undefined;
    if (address === '') return unixEntry;
    this.#recentEntries ??= new LRUCache({ max: maxRemembered });
    let entry = this.#recentEntries.get(address);
    if (entry === undefined) {
      this.#single ??= this.#entries.map((each) => blockListOf([each]));
      entry = this.#entries[this.#single.findIndex((list) => isBlocked(list, address))];
      if (entry !== undefined) this.#recentEntries.set(address, entry);
    }
    return entry;
  }
}

function blockListOf(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const fault = rangeFault(entry);
    if (fault !== undefined) throw new ModferryError('bad_range', fault);
    const range = parseRange(entry);
    if (range !== undefined) list.addSubnet(range.address, range.bits, range.family);
  }
  return list;
}

function isBlocked(list: BlockList, address: string): boolean {
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/**
 * Where a request comes from. The header is read from the right, one trusted proxy after another; whatever cannot be
 * understood, and all that stands left of it, is not believed. '' for a Unix socket.
 */
export function clientAddress(
  socketAddress: string,
  forwardedFor: string | undefined,
  trustedProxies: AddressList,
): string {
  let address = normalAddress(socketAddress) ?? socketAddress;
  if (forwardedFor === undefined || trustedProxies.isEmpty) return address;
  let end = forwardedFor.length;
  for (let hop = 0; hop < maxHops && end > 0 && trustedProxies.has(address); hop += 1) {
    // Far to the left there can be no entry any more: what is longer than the longest is none.
    const from = Math.max(0, end - 2 * longestEntry);
    const piece = forwardedFor.slice(from, end);
    const comma = piece.lastIndexOf(',');
    if (comma < 0 && from > 0) break;
    const named = forwardedAddress(piece.slice(comma + 1).trim());
    if (named === undefined) break;
    address = named;
    end = from + comma;
  }
  return address;
}

/** With or without port: `192.0.2.7:1234`, `[2001:db8::1]:1234`. */
function forwardedAddress(entry: string): string | undefined {
  if (entry === '') return undefined;
  const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?$/.exec(entry)?.[1];
  const dotted = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(entry)?.[1];
  const address = bracketed ?? dotted ?? entry;
  return isIP(address) === 0 ? undefined : normalAddress(address);
}
