import { hash as digest, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { LogError, type LogErrorCode } from './log-error.ts';
import { maxNoteBytes, openNote, parseVerifierKey, type Verifier } from './note.ts';

const vectors = sumdbVectors();

const codes: Record<string, LogErrorCode> = {
  malformed: 'bad_note',
  unverified: 'unverified',
  'invalid signature': 'bad_signature',
  ambiguous: 'bad_key',
};

describe('parseVerifierKey', () => {
  it.each(vectors.keys.filter(({ ok }) => ok))('reads $key as Go does', ({ key, name, hash }) => {
    expect(parseVerifierKey(key)).toMatchObject({ name, hash });
  });

  it.each(vectors.keys.filter(({ ok }) => !ok))('refuses $key as Go does', ({ key }) => {
    expect(() => parseVerifierKey(key)).toThrow(
      expect.objectContaining({ name: 'LogError', code: 'bad_key' }),
    );
  });

  it('refuses every part and every altered character of a key', () => {
    const key = vectors.keys[0]?.key ?? '';
    expect(key).toMatch(/^PeterNeumann\+/);
    for (let start = 0; start < key.length; start += 1) {
      for (let end = start; end <= key.length; end += 1) {
        if (end - start < key.length) expect(() => parseVerifierKey(key.slice(start, end))).toThrow(LogError);
      }
      const other = String.fromCharCode(key.charCodeAt(start) + 1);
      expect(() => parseVerifierKey(key.slice(0, start) + other + key.slice(start + 1))).toThrow(LogError);
    }
  });

  it('raises nothing but LogError for any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^x\+[0-9a-f]{8}\+[\w+/=]*$/)),
        (text) => {
          expect(attempt(() => parseVerifierKey(text))).toBeUndefined();
        },
      ),
    );
    expect(() => parseVerifierKey(`x+00000000+${'A'.repeat(10_000_000)}`)).toThrow(LogError);
  });
});

describe('openNote', () => {
  it.each(vectors.notes)('$about: $verdict, as Go says', ({ note, keys, verdict, text, signedBy }) => {
    const verifiers = keys.map(parseVerifierKey);
    if (verdict === 'ok') {
      expect(openNote(note, verifiers)).toEqual({ text, signedBy });
    } else {
      expect(() => openNote(note, verifiers)).toThrow(
        expect.objectContaining({ name: 'LogError', code: codes[verdict] }),
      );
    }
  });

  it('reads up to a limit', () => {
    const { verifier, signed } = signer('sum.test.example');
    const tail = signed('x').length - 'x'.length;
    const longest = 'x'.repeat(maxNoteBytes - tail - 1);
    expect(openNote(signed(`${longest}\n`), [verifier]).text.length).toBe(longest.length + 1);
    expect(() => openNote(signed(`${longest}xx\n`), [verifier])).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
  });

  it('raises nothing but LogError for any bytes', () => {
    const { verifier } = signer('a');
    const lines = fc.constantFrom('\n', '\n\n', '— ', 'a', ' ', 'AAAAAAA=', '+', '\0', '\u00a0', '\ufffd');
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all)),
      fc.array(lines, { maxLength: 30 }).map((all) => Buffer.from(all.join(''))),
    );
    fc.assert(
      fc.property(bytes, (any) => {
        expect(attempt(() => openNote(any, [verifier]))).toBeUndefined();
      }),
      { numRuns: 3000 },
    );
    for (const one of ['\n', '— ', 'A', '\n\n', '=']) {
      const much = Buffer.from(`x\n\n— a ${one.repeat(Math.floor(900_000 / Buffer.byteLength(one)))}\n`);
      expect(() => openNote(much, [verifier])).toThrow(LogError);
    }
  });

  it('an altered note is never opened with an altered text', () => {
    const { verifier, signed } = signer('sum.test.example');
    const text = Buffer.from('go.sum database tree\n5\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n');
    const note = signed(text.toString());
    expect(openNote(note, [verifier])).toEqual({ text, signedBy: ['sum.test.example'] });
    const alter = fc.tuple(
      fc.nat({ max: note.length - 1 }),
      fc.nat({ max: 3 }),
      fc.uint8Array({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(alter, ([at, cut, insert]) => {
        const altered = Buffer.concat([note.subarray(0, at), insert, note.subarray(at + cut)]);
        expect(attempt(() => openNote(altered, [verifier]))?.text ?? text).toEqual(text);
      }),
      { numRuns: 3000 },
    );
  });
});

function signer(name: string): { verifier: Verifier; signed: (text: string) => Buffer } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const key = Buffer.concat([Buffer.from([1]), raw]);
  const hash = digest('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').subarray(0, 4);
  const verifier = parseVerifierKey(`${name}+${hash.toString('hex')}+${key.toString('base64')}`);
  return { verifier, signed: (text) => signNote(text, name, hash, privateKey) };
}

function signNote(text: string, name: string, hash: Buffer, key: KeyObject): Buffer {
  const signature = Buffer.concat([hash, sign(null, Buffer.from(text), key)]);
  return Buffer.from(`${text}\n— ${name} ${signature.toString('base64')}\n`);
}

/** Undefined for a LogError; any other error fails the test. */
function attempt<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}
