import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { Progress, type ProgressOptions } from './progress.ts';

function makeProgress(options: Partial<ProgressOptions> & { isTty: boolean; columns?: number }) {
  const written: string[] = [];
  const clock = new FakeClock();
  const { isTty, columns = 80, ...rest } = options;
  const output = { isTty, columns, write: (text: string) => void written.push(text) };
  const progress = new Progress({ output, clock, label: 'warming', unit: 'modules', total: 10, ...rest });
  return { progress, clock, written, text: () => written.join('') };
}

describe('progress on a terminal', () => {
  it('redraws one line, never wider than the terminal', async () => {
    const { progress, clock, written } = makeProgress({ isTty: true, columns: 30 });
    progress.advance();
    await clock.advance(200);
    progress.advance(1, 'a detail that does not fit');
    expect(written).toHaveLength(2);
    for (const line of written) {
      expect(line.startsWith('\r\u001b[K')).toBe(true);
      expect(line).not.toContain('\n');
      expect(line.length - '\r\u001b[K'.length).toBeLessThan(30);
    }
  });

  it('draws at most once in its interval', async () => {
    const { progress, written } = makeProgress({ isTty: true });
    for (let count = 0; count < 9; count += 1) progress.advance();
    expect(written).toHaveLength(1);
    expect(written[0]).toContain('1/10 modules (10%)');
  });

  it('estimates what is left once it has seen enough', async () => {
    const { progress, clock, text } = makeProgress({ isTty: true });
    await clock.advance(5_000);
    progress.advance(5);
    expect(text()).toContain('[############............] 5/10 modules (50%), 5s left');
  });

  it('is gone when finished, and keeps notes above it', async () => {
    const { progress, written } = makeProgress({ isTty: true });
    progress.advance();
    progress.note('a fault');
    progress.advance();
    progress.finish();
    progress.finish();
    progress.advance();
    expect(written.slice(1, 3)).toEqual(['\r\u001b[K', 'a fault\n']);
    expect(written.at(-1)).toBe('\r\u001b[K');
    expect(written).toHaveLength(5);
  });
});

describe('progress elsewhere', () => {
  it('writes a plain line now and then', async () => {
    const { progress, clock, text } = makeProgress({ isTty: false });
    progress.advance();
    expect(text()).toBe('');
    await clock.advance(5_000);
    progress.advance(1, '1.0 MiB');
    progress.finish();
    expect(text()).toBe('warming 2/10 modules (20%), 1.0 MiB, 20s left\n');
  });

  it('counts where the total is not known', async () => {
    const { progress, clock, text } = makeProgress({ isTty: false, total: undefined });
    await clock.advance(5_000);
    progress.advance(3);
    expect(text()).toBe('warming 3 modules\n');
  });
});
