import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../lib/secret.ts';
import { redactUrls, resolveSecret } from './secret.ts';

describe('Secret', () => {
  it('gives its value to reveal only', () => {
    const secret = new Secret('hunter2');

    expect(secret.reveal()).toBe('hunter2');
    const printed = [
      [secret].join(),
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      inspect([secret], { showHidden: true }),
    ];
    expect(printed.join()).not.toContain('hunter2');
    expect(String(secret)).toBe('***');
  });

  it('may show a harmless part', () => {
    expect(JSON.stringify(new Secret('https://u:p@h/', 'https://***@h/'))).toBe('"https://***@h/"');
  });
});

describe('resolveSecret', () => {
  const sources = {
    env: { TOKEN: 'from-env', EMPTY: '' },
    readFile: async (path: string) => {
      if (path === '/run/pw') return 'two\nlines\r\n';
      if (path === '/run/empty') return '\n';
      throw Object.assign(new Error('no'), { code: 'EACCES' });
    },
  };

  it.each([
    ['env:TOKEN', 'from-env'],
    ['file:/run/pw', 'two\nlines'],
    ['plain', 'plain'],
  ])('takes %s as %j', async (text, expected) => {
    const resolved = await resolveSecret(text, sources);

    expect('value' in resolved && resolved.value.reveal()).toBe(expected);
  });

  it.each([
    ['env:MISSING', /"MISSING" is not set/],
    ['env:EMPTY', /"EMPTY" is not set/],
    ['file:/run/empty', /is empty/],
    ['file:/root/pw', /cannot be read \(EACCES\)/],
  ])('says what is wrong with %s', async (text, expected) => {
    const resolved = await resolveSecret(text, sources);

    expect('wrong' in resolved && resolved.wrong).toMatch(expected);
  });
});

describe('redactUrls', () => {
  it.each([
    ['https://u:p@h/x', 'https://***@h/x'],
    ['https://h/x,direct', 'https://h/x,direct'],
    ['u:p@h:3128', '***@h:3128'],
    ['https://h/?token=x', 'https://h/?***'],
    ['https://a:b@h|https://c:d@i', 'https://***@h|https://***@i'],
  ])('writes %s as %s', (text, expected) => {
    expect(redactUrls(text)).toBe(expected);
  });

  it('hides any password of a URL in a list, also one that is not encoded', () => {
    const password = fc.string({ minLength: 4 }).filter((text) => !/[\s|]/.test(text));
    fc.assert(
      fc.property(password, fc.constantFrom(',', '|'), (text, separator) => {
        const marked = `<${text}>`;
        expect(redactUrls(`https://h${separator}https://me:${marked}@i/x`)).not.toContain(marked);
      }),
    );
  });
});
