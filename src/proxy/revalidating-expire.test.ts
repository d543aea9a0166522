import { describe, expect, it } from 'vitest';
import { ask, settle, setUp } from './test-revalidating.ts';

describe('what is known to be out of date', () => {
  it('is asked anew by the next asker, who waits for it, however fresh it was', async () => {
    const { answers, fetchNumber, knowing, fetches } = setUp();
    await knowing(1_000);
    await answers.expire('k');
    const waiting = answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'two' });
    await expect(waiting).resolves.toMatchObject({ value: { text: 'two' }, state: 'fresh', asked: true });
    await expect(answers.get('k', ask)).resolves.toMatchObject({ value: { text: 'two' }, asked: false });
    expect(fetches).toHaveLength(2);
  });

  it('is served when the sources fail', async () => {
    const { answers, fetchNumber, knowing } = setUp();
    await knowing(1_000);
    await answers.expire('k');
    const waiting = answers.get('k', ask);
    (await fetchNumber(2)).reject(new Error('they are away'));
    await expect(waiting).resolves.toMatchObject({ value: { text: 'one' }, state: 'error' });
  });

  it('is not brought back by a refresh that began before', async () => {
    const { answers, fetchNumber, knowing } = setUp();
    await knowing(61_000);
    await answers.get('k', ask);
    const before = await fetchNumber(2);
    await answers.expire('k');
    before.resolve({ text: 'before the push' });
    await settle();
    const waiting = answers.get('k', ask);
    (await fetchNumber(3)).resolve({ text: 'after the push' });
    await expect(waiting).resolves.toMatchObject({ value: { text: 'after the push' } });
  });

  it('is served offline', async () => {
    const { answers, knowing, sources } = setUp();
    await knowing(1_000);
    await answers.expire('k');
    sources.isOffline = true;
    await expect(answers.get('k', ask)).resolves.toMatchObject({ value: { text: 'one' } });
  });

  it('is read again where it is cleared, and only there', async () => {
    const { answers, knowing, fetches } = setUp();
    await knowing(1_000);
    answers.clear((key) => key !== 'k');
    await expect(answers.peek('k')).resolves.toMatchObject({ value: { text: 'one' } });
    answers.clear((key) => key === 'k');
    await expect(answers.peek('k')).resolves.toBeUndefined();
    expect(fetches).toHaveLength(1);
  });
});
