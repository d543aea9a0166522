import { describe, expect, it } from 'vitest';
import { type Figure, meets, valueText } from './figure.ts';
import { begin, end, rewrite, rows } from './report.ts';

const figure: Figure = { name: 'a / b', value: 1.049, target: { atMost: 1.05 }, detail: '2.1 s, 2.0 s' };
const facts = { date: '2026-01-31', otherLoad: 0.256 };

describe('meets', () => {
  it('holds targets from above and from below, inclusive', () => {
    expect(meets({ ...figure, value: 1.05 })).toBe(true);
    expect(meets({ ...figure, value: 1.051 })).toBe(false);
    expect(meets({ ...figure, value: 0.5, target: { atLeast: 0.6 } })).toBe(false);
    expect(meets({ ...figure, value: 0.6, target: { atLeast: 0.6 } })).toBe(true);
  });

  it('never holds for a value that is no number', () => {
    expect(meets({ ...figure, value: Number.NaN })).toBe(false);
  });
});

describe('rows', () => {
  it('say what was measured, what was wanted, and under which load', () => {
    const result = { scenario: 'warm', rounds: 3, figures: [figure] };

    expect(rows(result, facts)).toEqual([
      '| warm | a / b | 1.05 × | ≤ 1.05 | reached | 2.1 s, 2.0 s | 2026-01-31, 3 rounds, others 26 % busy |',
    ]);
  });

  it('tell where temporary files were when that was not the usual place', () => {
    const result = { scenario: 'warm', rounds: 3, figures: [figure] };

    expect(rows(result, { ...facts, tmpDir: '/dev/shm' })[0]).toContain('26 % busy, TMPDIR=/dev/shm |');
  });

  it('print sizes and counts without decimals', () => {
    expect(valueText({ ...figure, value: 182.4, unit: 'MiB' })).toBe('182 MiB');
    expect(valueText({ ...figure, value: 1, unit: '' })).toBe('1');
  });
});

describe('rewrite', () => {
  const document = `# Bench\n\n${begin}\nold text\n| a | old a |\n| b | old b |\n${end}\n\nMore.\n`;

  it('replaces the rows of what was run, keeps the others, and touches nothing outside the markers', () => {
    const text = rewrite(document, new Map([['b', ['| b | new b |']]]), ['a', 'b']);

    expect(text).toContain('| a | old a |');
    expect(text).toContain('| b | new b |');
    expect(text).not.toContain('old b');
    expect(text).not.toContain('old text');
    expect(text.startsWith('# Bench\n\n')).toBe(true);
    expect(text.endsWith('\n\nMore.\n')).toBe(true);
  });

  it('gives the same text when it is applied to its own result', () => {
    const fresh = new Map([['b', ['| b | new b |']]]);
    const once = rewrite(document, fresh, ['a', 'b']);

    expect(rewrite(once, fresh, ['a', 'b'])).toBe(once);
  });

  it('refuses a document without markers', () => {
    expect(() => rewrite('# Bench\n', new Map(), [])).toThrow(/put the lines/);
  });
});
