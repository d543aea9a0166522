import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { LogError } from './log-error.ts';
import { formatRecord, goSumLines, maxLookupBytes, parseLookup } from './record.ts';

const vectors = sumdbVectors();
const h1 = 'h1:TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=';
const otherH1 = 'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';

describe('parseLookup', () => {
  const good = vectors.lookups.filter(({ ok }) => ok);
  const ours = good.filter(({ id }) => BigInt(id) >= 0n && BigInt(id) <= BigInt(Number.MAX_SAFE_INTEGER));

  it.each(ours)('reads record $id as tlog does', ({ body, id, text, rest }) => {
    const { id: number, ...parts } = parseLookup(body);
    expect(String(number)).toBe(id);
    expect(parts).toEqual({ text, note: rest });
  });

  it('refuses what tlog refuses', () => {
    const bad = vectors.lookups.filter(({ ok }) => !ok);
    expect(bad.length).toBeGreaterThan(20);
    for (const { body } of bad) expect(() => parseLookup(body)).toThrow(LogError);
  });

  it('refuses numbers below zero and beyond 2^53-1, which tlog reads', () => {
    const rest = good.filter((vector) => !ours.includes(vector));
    expect(rest.map(({ id }) => id)).toEqual(['-5', '9007199254740992', '9223372036854775807']);
    expect(() => parseLookup(Buffer.from('-5\nhello\n\n'))).toThrow(
      expect.objectContaining({ code: 'bad_record' }),
    );
    expect(() => parseLookup(Buffer.from('9007199254740992\nhello\n\n'))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });

  it('reads up to a limit', () => {
    const head = Buffer.from('5\nhello\n\n');
    const most = Buffer.concat([head, Buffer.alloc(maxLookupBytes - head.length, 'x')]);
    expect(parseLookup(most).id).toBe(5);
    expect(() => parseLookup(Buffer.concat([most, Buffer.from('x')]))).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
    expect(() => parseLookup(Buffer.alloc(maxLookupBytes, '9'))).toThrow(LogError);
  });

  it('raises nothing but LogError for any bytes, and what it reads is a record', () => {
    const pieces = fc.array(fc.constantFrom('5', '\n', '\n\n', 'a b h1:x', '\u2028', '\r', '\0', '—'), {
      maxLength: 12,
    });
    const bodies = fc.oneof(
      fc.uint8Array(),
      pieces.map((all) => Buffer.from(all.join(''))),
    );
    fc.assert(
      fc.property(bodies, (body) => {
        try {
          const { id, text, note } = parseLookup(Buffer.from(body));
          expect(parseLookup(Buffer.concat([formatRecord(id, text), note]))).toEqual({ id, text, note });
        } catch (error) {
          expect(error).toBeInstanceOf(LogError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('formatRecord', () => {
  it.each(vectors.recordTexts)('writes or refuses $text as tlog does', ({ text, ok, formatted }) => {
    if (ok) expect(formatRecord(123_456_789_012, text)).toEqual(formatted);
    else expect(() => formatRecord(5, text)).toThrow(expect.objectContaining({ code: 'bad_record' }));
  });

  it('refuses what is no number', () => {
    for (const id of [-1, 0.5, 2 ** 53]) {
      expect(() => formatRecord(id, Buffer.from('x\n'))).toThrow(
        expect.objectContaining({ code: 'bad_index' }),
      );
    }
  });
});

describe('goSumLines', () => {
  it('finds the lines of exactly this module version', () => {
    const text = record(
      `example.com/a v1.0.0 ${h1}`,
      `example.com/a v1.0.0/go.mod ${otherH1}`,
      `example.com/a v1.0.0-x ${otherH1}`,
      `example.com/a/v2 v1.0.0 ${otherH1}`,
      `other.com/example.com/a v1.0.0 ${otherH1}`,
    );
    expect(goSumLines(text, 'example.com/a', 'v1.0.0')).toEqual({ zipH1: h1, modH1: otherH1 });
    expect(goSumLines(text, 'example.com/a', 'v1.0.0-x')).toEqual({ zipH1: otherH1, modH1: undefined });
  });

  it('CVE-2026-42501: a record without a line of the module says nothing of it', () => {
    const nothing = { zipH1: undefined, modH1: undefined };
    const text = record(`example.com/other v1.0.0 ${h1}`, `example.com/other v1.0.0/go.mod ${h1}`);
    expect(goSumLines(text, 'example.com/a', 'v1.0.0')).toEqual(nothing);
    expect(goSumLines(Buffer.alloc(0), 'example.com/a', 'v1.0.0')).toEqual(nothing);
    const modOnly = record(`example.com/a v1.0.0/go.mod ${h1}`);
    expect(goSumLines(modOnly, 'example.com/a', 'v1.0.0')).toEqual({ zipH1: undefined, modH1: h1 });
  });

  it('CVE-2026-56864: lines in the note are no part of the record', () => {
    const body = Buffer.concat([
      formatRecord(7, record(`example.com/other v1.0.0 ${otherH1}`)),
      Buffer.from(
        `go.sum database tree\n8\n${h1.slice(3)}\nexample.com/a v1.0.0 ${h1}\n\n— sum.test.example AAAAAAAA\n`,
      ),
    ]);
    const { text, note } = parseLookup(body);
    expect(note.toString()).toContain(`example.com/a v1.0.0 ${h1}`);
    expect(goSumLines(text, 'example.com/a', 'v1.0.0')).toEqual({ zipH1: undefined, modH1: undefined });
  });

  it('ignores hashes that are not known, and the same line twice', () => {
    const line = `example.com/a v1.0.0 ${h1}`;
    const text = record(
      'example.com/a v1.0.0 h2:abc',
      line,
      'example.com/a v1.0.0 H1:x',
      line,
      'example.com/a v1.0.0',
    );
    expect(goSumLines(text, 'example.com/a', 'v1.0.0')).toEqual({ zipH1: h1, modH1: undefined });
  });

  it('refuses lines that contradict each other', () => {
    for (const name of ['v1.0.0', 'v1.0.0/go.mod']) {
      const text = record(`example.com/a ${name} ${h1}`, `example.com/a ${name} ${otherH1}`);
      expect(() => goSumLines(text, 'example.com/a', 'v1.0.0')).toThrow(
        expect.objectContaining({ code: 'bad_record' }),
      );
    }
  });

  it('refuses a line that has no hash behind h1:', () => {
    for (const wrong of [
      'h1:',
      'h1:abc',
      `${h1} `,
      `${h1} x`,
      h1.slice(0, -1),
      `${h1}=`,
      h1.replace('Bb0=', 'Bb1='),
    ]) {
      expect(() => goSumLines(record(`example.com/a v1.0.0 ${wrong}`), 'example.com/a', 'v1.0.0')).toThrow(
        expect.objectContaining({ code: 'bad_record' }),
      );
    }
  });
});

function record(...lines: string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}
