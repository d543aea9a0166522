import { describe, expect, it } from 'vitest';
import { AddressList, clientAddress, countedAddress, normalAddress, rangeFault } from './address.ts';

describe('normalAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:c000:207', '192.0.2.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['', ''],
    ['010.0.0.1', undefined],
    ['2130706433', undefined],
    ['example.com', undefined],
    ['1:'.repeat(25_000), undefined],
  ])('%s is %s', (given, expected) => expect(normalAddress(given)).toBe(expected));
});

describe('countedAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ])('%s counts as %s', (given, expected) => expect(countedAddress(given)).toBe(expected));
});

describe('AddressList', () => {
  it.each([
    [['10.0.0.0/8'], '10.255.0.1', '10.0.0.0/8'],
    [['10.0.0.0/8'], '11.0.0.1', undefined],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', '::ffff:10.0.0.0/104'],
    [['0.0.0.0/0'], '192.0.2.7', '0.0.0.0/0'],
    [['192.0.2.7'], '192.0.2.7', '192.0.2.7'],
    [['192.0.2.7'], '192.0.2.8', undefined],
    [['192.0.2.1', 'fd00::/8'], 'fd12::1', 'fd00::/8'],
    [['fd00::/8'], '10.0.0.1', undefined],
    [['10.0.0.0/8'], '', undefined],
    [['unix'], '', 'unix'],
    [[], '10.0.0.1', undefined],
  ])('%j has %s by %s', (entries, address, by) => {
    const list = new AddressList(entries);
    expect(list.has(address)).toBe(by !== undefined);
    expect(list.has(address)).toBe(by !== undefined);
    expect(list.entryOf(address)).toBe(by);
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0/8',
    'fd00::/129',
    '',
    '/8',
    'all',
    'fe80::1%eth0',
    '::ffff:10.0.0.0/8',
  ])('refuses %j', (entry) => {
    expect(rangeFault(entry)).toContain('no range');
    expect(() => new AddressList([entry])).toThrow(expect.objectContaining({ code: 'bad_range' }));
  });
});

describe('clientAddress', () => {
  const proxies = new AddressList(['10.0.0.0/8', 'fd00::/8']);

  it.each([
    ['of a socket that is no trusted proxy', '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    ['without the header', '10.0.0.1', undefined, '10.0.0.1'],
    ['one proxy names', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [
      'the right-most that is no proxy, whatever the client wrote',
      '10.0.0.1',
      '203.0.113.9, 198.51.100.1,10.0.0.2',
      '198.51.100.1',
    ],
    ['with IPv4 in IPv6', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['with ports', '10.0.0.1', '[2001:db8::1]:443, 10.0.0.2:1', '2001:db8::1'],
    ['with garbage at the right', '10.0.0.1', '198.51.100.1, "x"', '10.0.0.1'],
    ['with garbage behind a proxy', '10.0.0.1', 'localhost, 10.0.0.2', '10.0.0.2'],
    ['with an empty header', '10.0.0.1', '', '10.0.0.1'],
    ['with empty entries', '10.0.0.1', '198.51.100.1,,', '10.0.0.1'],
    ['of proxies only', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['with control characters', '10.0.0.1', '198.51.100.1\u0000', '10.0.0.1'],
  ])('%s', (_, socket, header, expected) => expect(clientAddress(socket, header, proxies)).toBe(expected));

  it('believes a Unix socket only when it is named', () => {
    expect(clientAddress('', '198.51.100.1', proxies)).toBe('');
    expect(clientAddress('', '198.51.100.1', new AddressList(['unix']))).toBe('198.51.100.1');
  });

  it('takes 50 kB of anything quickly', () => {
    const startedAtMs = performance.now();
    for (const text of ['10.0.0.1,', ',', 'x', ' ', '[', '1.']) {
      expect(['10.0.0.1', '10.0.0.9']).toContain(
        clientAddress('10.0.0.9', text.repeat(50_000 / text.length), proxies),
      );
    }
    expect(performance.now() - startedAtMs).toBeLessThan(50);
  });
});
