import { describe, expect, it } from 'vitest';
import {
  isLoopback,
  parseChecksumDatabase,
  parseGoproxyList,
  parseHours,
  parseHttpUrl,
  parseListen,
  parsePathPrefix,
  parsePercent,
  parseProxyAddress,
  parseProxySetting,
  parseSumdb,
} from './shapes.ts';

function isRight(parsed: object): boolean {
  return 'value' in parsed;
}

const officialKey = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';

describe('parseListen', () => {
  it.each([
    '',
    '8080',
    'localhost',
    'localhost:',
    'localhost:x',
    'a b:1',
    '::1:80',
    'h:65536',
    'http://h:80',
    '[::1]',
  ])('refuses %j', (text) => {
    expect(isRight(parseListen(text))).toBe(false);
  });

  it.each([
    ['localhost:8080', 'localhost', 8080],
    [':0', '', 0],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
    ['0.0.0.0:65535', '0.0.0.0', 65_535],
  ])('reads %s', (text, host, port) => {
    expect(parseListen(text)).toEqual({ value: { host, port } });
  });
});

describe('parsePathPrefix', () => {
  it('forgives trailing slashes and refuses what no router could match', () => {
    expect(['', '/', '/go', '/go/', '/a/b-c'].map(parsePathPrefix)).toEqual(
      ['', '', '/go', '/go', '/a/b-c'].map((value) => ({ value })),
    );
    expect(
      ['go', '//go', '/a//b', '/../x', '/a%2Fb', '/a b'].some((text) => isRight(parsePathPrefix(text))),
    ).toBe(false);
  });
});

describe('parseHttpUrl', () => {
  it('takes names without scheme as https, as Go does', () => {
    const parsed = parseHttpUrl('goproxy.cn/x');

    expect('value' in parsed && parsed.value.href).toBe('https://goproxy.cn/x');
  });

  it.each(['htp://x', 'file:///x', 'x', '', '/goproxy', 'https://', 'https://h/?a=1', 'https://h/#a'])(
    'refuses %j',
    (text) => {
      expect(isRight(parseHttpUrl(text))).toBe(false);
    },
  );
});

describe('parseGoproxyList', () => {
  it('keeps the text as it is and shows it without credentials', () => {
    const parsed = parseGoproxyList('https://u:p@goproxy.cn,goproxy.io|direct,off');

    expect('value' in parsed && parsed.value.reveal()).toBe('https://u:p@goproxy.cn,goproxy.io|direct,off');
    expect('value' in parsed && String(parsed.value)).not.toContain('u:p');
  });

  it.each(['', ' , ', 'https://goproxy.cn,ftp://x', 'Direct', 'none'])('refuses %j', (text) => {
    expect(isRight(parseGoproxyList(text))).toBe(false);
  });
});

describe('parseProxyAddress', () => {
  it.each([
    ['10.0.0.1:3128', 'http://10.0.0.1:3128'],
    ['https://p.lan', 'https://p.lan'],
    ['socks5://u:p@h:1', 'socks5://u:p@h:1'],
    ['socks5h://h:1', 'socks5h://h:1'],
  ])('takes %s', (text, expected) => {
    const parsed = parseProxyAddress(text);

    expect('value' in parsed && parsed.value.reveal()).toBe(expected);
    expect('value' in parsed && String(parsed.value)).not.toContain('u:p');
  });

  it.each([
    '',
    'h:99999',
    'socks4://h:1',
    'ftp://h',
    'http://',
    'http:///x',
    'http://h/path',
    'h?x=1',
    'a b',
  ])('refuses %j', (text) => {
    expect(isRight(parseProxyAddress(text))).toBe(false);
  });
});

describe('parseProxySetting', () => {
  it.each(['direct', 'env', 'pac'])('takes the word %s', (word) => {
    expect(parseProxySetting(word)).toEqual({ value: word });
  });

  it('takes a script and keeps the credentials of its URL to itself', () => {
    const parsed = parseProxySetting('pac:https://u:hunter2@wpad.corp.example/proxy.pac');

    expect('value' in parsed && typeof parsed.value !== 'string' && parsed.value.reveal()).toBe(
      'pac:https://u:hunter2@wpad.corp.example/proxy.pac',
    );
    expect('value' in parsed && String(parsed.value)).not.toContain('hunter2');
    expect(isRight(parseProxySetting('pac:/etc/proxy.pac'))).toBe(true);
  });

  it.each(['pac:', 'pac:ftp://h/x', 'pac:http://', 'socks4://h:1', 'Direct please'])('refuses %j', (text) => {
    expect(isRight(parseProxySetting(text))).toBe(false);
  });
});

describe('parsePercent', () => {
  it('gives a ratio', () => {
    expect([parsePercent('95%'), parsePercent(80), parsePercent('99.5 %')]).toEqual([
      { value: 0.95 },
      { value: 0.8 },
      { value: 0.995 },
    ]);
    expect(['0%', '101%', '-1', 'x', 0.5].some((raw) => isRight(parsePercent(raw)))).toBe(false);
  });
});

describe('parseSumdb', () => {
  it('reads name, verifier key and address', () => {
    expect(parseSumdb(`${officialKey} https://goproxy.cn/sumdb/sum.golang.org/`)).toEqual({
      value: {
        name: 'sum.golang.org',
        verifierKey: officialKey,
        urls: ['https://goproxy.cn/sumdb/sum.golang.org'],
      },
    });
    expect(parseSumdb('db.corp.example/go http://127.0.0.1:9000  https://b.example/x/')).toMatchObject({
      value: { name: 'db.corp.example/go', urls: ['http://127.0.0.1:9000', 'https://b.example/x'] },
    });
    expect(parseSumdb('db.corp.example')).toMatchObject({ value: { urls: [] } });
  });

  it.each([
    ['a mistyped key', officialKey.replace('Ac4z', 'Ac4y')],
    ['a key of another name', officialKey.replace('sum.', 'sun.')],
    ['a short key', 'sum.golang.org+033de0ae+Ac4z'],
    ['plain http elsewhere', 'sum.golang.org http://db.example'],
    ['credentials in the address', 'sum.golang.org https://u:p@db.example'],
    ['a word that is no address', 'sum.golang.org https://db.example x'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(isRight(parseSumdb(text))).toBe(false);
  });
});

describe('parseChecksumDatabase', () => {
  it('reads off, the official names, and others with their key', () => {
    expect(parseChecksumDatabase(' off ')).toEqual({ value: 'off' });
    for (const text of ['sum.golang.org', 'sum.golang.google.cn', officialKey]) {
      expect(parseChecksumDatabase(text)).toEqual(parseSumdb(text));
    }
    expect(parseChecksumDatabase('db.corp.example https://db.corp.example')).toMatchObject({
      wrong: 'has no key',
    });
    expect(isRight(parseChecksumDatabase('off https://db.example'))).toBe(false);
  });
});

describe('parseHours', () => {
  it.each([
    ['22:00-06:00', 1320, 360],
    ['0:30 - 24:00', 30, 1440],
  ])('reads %s', (text, fromMin, toMin) => {
    expect(parseHours(text)).toEqual({ value: { fromMin, toMin } });
  });

  it.each(['', '22:00', '25:00-01:00', '1:60-2:00', '24:01-25:00', '3:00-3:00', '22-6'])(
    'refuses %j',
    (text) => {
      expect(isRight(parseHours(text))).toBe(false);
    },
  );
});

describe('isLoopback', () => {
  it('knows this machine from others', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '[::1]'].every(isLoopback)).toBe(true);
    expect(['localhost.evil.example', '128.0.0.1', '127.0.0.1.example', '10.0.0.1'].some(isLoopback)).toBe(
      false,
    );
  });
});
