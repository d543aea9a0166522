import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GoSumReader, goSumLineText, isH1Hash, maxGoSumBytes, parseGoSum, readGoSum } from './go-sum.ts';

const h1 = `h1:${'A'.repeat(43)}=`;
const other = `h1:${'B'.repeat(42)}A=`;
const mod = 'golang.org/x/mod';

function reasonsOf(text: string | Buffer): string[] {
  return parseGoSum(text).faults.map(({ lineNumber, reason }) => `${lineNumber}: ${reason}`);
}

describe('parseGoSum', () => {
  it('reads lines of zips and of go.mod files', () => {
    const text = `${mod} v0.20.0 ${h1}\n${mod} v0.20.0/go.mod ${other}\n`;
    expect(parseGoSum(text)).toEqual({
      lines: [
        { path: mod, version: 'v0.20.0', ext: 'zip', h1, lineNumber: 1 },
        { path: mod, version: 'v0.20.0', ext: 'mod', h1: other, lineNumber: 2 },
      ],
      faults: [],
      faultCount: 0,
      ignored: 0,
    });
  });

  it('takes what Go takes: blank lines, tabs, CRLF, no last line end, toolchains, +incompatible', () => {
    const text = [
      '',
      `  ${mod}\tv0.20.0   ${h1}\r`,
      `golang.org/toolchain v0.0.1-go1.26.8.linux-amd64 ${h1}`,
      `github.com/docker/docker v20.10.0+incompatible ${h1}`,
      `gopkg.in/yaml.v3 v3.0.1/go.mod ${h1}`,
    ].join('\n');
    const read = parseGoSum(`\uFEFF${text}`);
    expect(read.faults).toEqual([]);
    expect(read.lines.map(({ lineNumber }) => lineNumber)).toEqual([2, 3, 4, 5]);
  });

  it.each([
    ['too few fields', `${mod} v0.20.0`, 'it has 2 fields instead of MODULE VERSION HASH'],
    ['too many fields', `${mod} v0.20.0 ${h1} x`, 'it has 4 fields instead of MODULE VERSION HASH'],
    ['a comment', '// nothing', 'it has 2 fields instead of MODULE VERSION HASH'],
    ['a bad path', `Golang.org/../x v0.20.0 ${h1}`, 'its first field is no module path'],
    ['no version', `${mod} latest ${h1}`, 'its second field is no canonical version of that module'],
    ['a short version', `${mod} v0.20 ${h1}`, 'its second field is no canonical version of that module'],
    [
      'a version that does not fit',
      `${mod} v2.0.0 ${h1}`,
      'its second field is no canonical version of that module',
    ],
    ['a short hash', `${mod} v0.20.0 h1:AAAA`, 'its hash is not h1: and 32 bytes in base64'],
    [
      'a hash with loose bits',
      `${mod} v0.20.0 h1:${'A'.repeat(42)}B=`,
      'its hash is not h1: and 32 bytes in base64',
    ],
    ['no hash', `${mod} v0.20.0 ${'A'.repeat(43)}=`, 'its hash is not h1: and 32 bytes in base64'],
    ['a conflict marker', '<<<<<<< HEAD', 'a merge left a conflict marker; resolve it first'],
    ['another one', '=======', 'a merge left a conflict marker; resolve it first'],
    ['a NUL', `${mod}\0 v0.20.0 ${h1}`, 'it has a NUL byte, so this is no text file or a damaged one'],
  ])('tells the number and the reason of %s', (_, line, reason) => {
    const read = parseGoSum(`${mod} v0.1.0 ${h1}\n${line}\n${mod} v0.3.0 ${h1}\n`);
    expect(read.faults.map((fault) => [fault.lineNumber, fault.reason])).toEqual([[2, reason]]);
    expect(read.lines.map(({ version }) => version)).toEqual(['v0.1.0', 'v0.3.0']);
  });

  it('passes over other algorithms and the hash of an old bug, as Go does', () => {
    const empty = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=';
    const read = parseGoSum(`${mod} v0.20.0 h2:xyz\n${mod} v0.20.0/go.mod ${empty}\n`);
    expect(read).toMatchObject({ lines: [], faults: [], ignored: 2 });
  });

  it('keeps a repeated line once and tells of one that contradicts', () => {
    const line = `${mod} v0.20.0 ${h1}\n`;
    const read = parseGoSum(`${line}${line}${mod} v0.20.0 ${other}\n`);
    expect(read.lines).toHaveLength(1);
    expect(read.lines[0]?.h1).toBe(h1);
    expect(reasonsOf(`${line}${line}${mod} v0.20.0 ${other}\n`)).toEqual(['3: it contradicts line 1']);
  });

  it('shows junk without what could move a cursor, and cut', () => {
    const [fault] = parseGoSum(`\u001b[2J\u202e${'x'.repeat(500)}`).faults;
    expect(fault?.text).toMatch(/^\\u\{1b\}\[2J\\u\{202e\}x+…$/);
    expect(fault?.text.length).toBeLessThanOrEqual(80);
  });

  it('counts faults that it does not tell one by one', () => {
    const read = parseGoSum('junk\n'.repeat(5_000));
    expect(read.faultCount).toBe(5_000);
    expect(read.faults).toHaveLength(1_000);
  });

  it('takes a line of 10 MB for one fault', () => {
    const text = `${mod} v0.1.0 ${h1}\n${'x'.repeat(10_000_000)}\n${mod} v0.3.0 ${h1}`;
    expect(reasonsOf(text)).toEqual(['2: it is longer than 8192 bytes']);
    expect(parseGoSum(text).lines).toHaveLength(2);
  });

  it('takes bytes that are no UTF-8 for junk', () => {
    expect(reasonsOf(Buffer.from([0xff, 0xfe, 0x20, 0xc0, 0x20, 0x80]))).toEqual([
      '1: its first field is no module path',
    ]);
  });
});

describe('readGoSum', () => {
  it('stops at 64 MiB and says so', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1024 * 1024;
        await Promise.resolve();
        yield Buffer.alloc(1024 * 1024, `${' '.repeat(1023)}\n`);
      }
    }
    const read = await readGoSum(endless());
    expect(given).toBe(maxGoSumBytes + 1024 * 1024);
    expect(read.faults).toMatchObject([
      { lineNumber: 65_537, reason: expect.stringContaining('larger than') as string },
    ]);
  });

  it('gives up on what is no go.sum at all', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1;
        await Promise.resolve();
        yield Buffer.alloc(1024 * 1024, 'x\n');
      }
    }
    const read = await readGoSum(endless());
    expect(given).toBeLessThanOrEqual(2);
    expect(read.faultCount).toBe(10_001);
  });

  it('does not take a line that the limit cut', () => {
    const reader = new GoSumReader(40);
    expect(reader.write(Buffer.from(`${mod} v0.20.0 ${h1}\n`))).toBe(false);
    expect(reader.finish()).toMatchObject({ lines: [], faultCount: 1 });
  });
});

describe('go.sum text of any kind', () => {
  const goodLine = fc
    .tuple(
      fc.constantFrom(mod, 'github.com/Azure/x', 'gopkg.in/yaml.v3', 'example.com/a/v2'),
      fc.nat({ max: 30 }),
      fc.constantFrom('zip' as const, 'mod' as const),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
    )
    .map(([path, minor, ext, hash]) => {
      const major = path.endsWith('v3') ? 3 : path.endsWith('v2') ? 2 : 0;
      const version = `v${major}.${minor}.0${ext === 'mod' ? '/go.mod' : ''}`;
      return `${path} ${version} h1:${Buffer.from(hash).toString('base64')}`;
    });
  const anyLine = fc.oneof(
    goodLine,
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', ' ', '<<<<<<<', '\0'),
  );

  it('never throws, accounts for every line, and does not depend on how it is cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyLine, { maxLength: 30 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        async (lines, sizes) => {
          const bytes = Buffer.from(lines.join('\n'));
          async function* chunks() {
            for (let at = 0; at < bytes.length; ) {
              const size = sizes.next().value ?? 1;
              await Promise.resolve();
              yield bytes.subarray(at, at + size);
              at += size;
            }
          }
          const whole = parseGoSum(bytes);
          expect(await readGoSum(chunks())).toEqual(whole);
          const total = bytes.toString('utf8').split('\n').length;
          const numbers = [...whole.lines, ...whole.faults].map(({ lineNumber }) => lineNumber);
          expect(numbers.every((number) => number >= 1 && number <= total)).toBe(true);
          expect(new Set(numbers).size).toBe(numbers.length);
          for (const line of whole.lines) {
            expect(isH1Hash(line.h1)).toBe(true);
            expect(parseGoSum(goSumLineText(line)).lines).toEqual([{ ...line, lineNumber: 1 }]);
          }
          for (const { text } of whole.faults) expect(text).toMatch(/^[\p{L}\p{N}\p{P}\p{S} ]*$/u);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('does not throw for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const read = parseGoSum(bytes);
        expect(read.faults.length).toBe(read.faultCount);
      }),
    );
  });
});
