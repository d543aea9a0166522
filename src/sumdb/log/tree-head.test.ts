import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { LogError } from './log-error.ts';
import { parseVerifierKey } from './note.ts';
import { maxTreeSize } from './stored-index.ts';
import { formatTreeHead, openTreeHead, parseTreeHead } from './tree-head.ts';

const vectors = sumdbVectors();

describe('parseTreeHead', () => {
  const good = vectors.treeTexts.filter(({ ok }) => ok);
  const exact = good.filter(({ size }) => BigInt(size) <= BigInt(maxTreeSize));

  it.each(exact)('reads a head of $size records as tlog does', ({ text, size, hash }) => {
    const head = parseTreeHead(text);
    expect({ size: String(head.size), hash: head.hash.toString('base64') }).toEqual({ size, hash });
    expect(parseTreeHead(Buffer.from(formatTreeHead(head)))).toEqual(head);
  });

  it('refuses what tlog refuses', () => {
    const bad = vectors.treeTexts.filter(({ ok }) => !ok);
    expect(bad.length).toBeGreaterThan(25);
    for (const { text } of bad) expect(() => parseTreeHead(text)).toThrow(LogError);
  });

  it('refuses more records than can be counted exactly', () => {
    const beyond = good.filter((vector) => !exact.includes(vector));
    expect(beyond.map(({ size }) => size)).toContain('9007199254740992');
    for (const { text } of beyond) {
      expect(() => parseTreeHead(text)).toThrow(expect.objectContaining({ code: 'too_large' }));
    }
  });

  it('refuses more than a megabyte', () => {
    const { text = Buffer.alloc(0) } = good[0] ?? {};
    const most = Buffer.concat([text, Buffer.alloc(1_000_000 - text.length, 'x')]);
    expect(parseTreeHead(most).size).toBe(123_456_789_012);
    expect(() => parseTreeHead(Buffer.concat([most, Buffer.from('x')]))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });

  it('raises nothing but LogError for any bytes', () => {
    const lines = fc.array(fc.constantFrom('go.sum database tree', '\n', '5', '-', 'Tszz', '='), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          lines.map((all) => Buffer.from(all.join(''))),
        ),
        (bytes) => {
          expect(() => parseTreeHead(Buffer.from(bytes))).toThrow(LogError);
        },
      ),
    );
  });
});

describe('openTreeHead', () => {
  const signed = vectors.notes.filter(({ about }) => /^signed tree head$|^the last empty line/.test(about));

  it.each(signed)('reads the head of a signed note: $about', ({ note, keys }) => {
    expect(openTreeHead(note, keys.map(parseVerifierKey)).size).toBe(123_456_789_012);
  });

  it('reads none that nobody signed, and none in a note about something else', () => {
    const note = signed[0]?.note ?? Buffer.alloc(0);
    expect(() => openTreeHead(note, [])).toThrow(expect.objectContaining({ code: 'unverified' }));
    const [other] = vectors.notes;
    expect(() => openTreeHead(other?.note ?? note, (other?.keys ?? []).map(parseVerifierKey))).toThrow(
      expect.objectContaining({ code: 'bad_tree' }),
    );
  });
});
